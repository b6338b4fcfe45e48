import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import javax.sql.DataSource;

/** Runs work in a transaction of a tenant; when it returns, that has committed. */
final class Tenant {
    interface Work<T> {
        T run(Connection connection) throws Exception;
    }

    static <T> T inTenant(DataSource source, Identity identity, Work<T> work) throws Exception {
        try (Connection connection = source.getConnection()) {
            connection.setAutoCommit(false);
            try (PreparedStatement context = connection.prepareStatement("SELECT rls_tenant.set_context(?::text, NULL, ?::text)")) {
                context.setString(1, identity.tenant());
                context.setString(2, identity.user());
                context.execute();
                T result = work.run(connection);
                connection.commit();
                return result;
            } catch (Throwable error) {
                connection.rollback();
                throw error;
            }
        }
    }
}

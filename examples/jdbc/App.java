import com.google.gson.Gson;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import javax.sql.DataSource;

/** Invoices of many tenants, with plain JDBC. The database is told by PGHOST, PGPORT, PGDATABASE, PGUSER. */
public final class App {
    record Invoice(long id, String tenant_id, String note, String created_by) {}

    record Answer(int status, Object body) {}

    interface Handler {
        Answer handle(Identity identity, HttpExchange exchange) throws Exception;
    }

    private static final Gson JSON = new Gson();
    private static final DataSource SOURCE = dataSource();

    public static void main(String[] arguments) throws IOException {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 200);
        server.setExecutor(Executors.newFixedThreadPool(20));
        serve(server, "/invoices", (identity, exchange) -> exchange.getRequestMethod().equals("POST")
            ? new Answer(201, Tenant.inTenant(SOURCE, identity, db -> insert(db, noteOfBody(exchange))))
            : new Answer(200, Tenant.inTenant(SOURCE, identity, App::invoices)));
        serve(server, "/fail", (identity, exchange) -> Tenant.inTenant(SOURCE, identity, db -> fail(db, noteOfQuery(exchange))));
        serve(server, "/slow", (identity, exchange) -> Tenant.inTenant(SOURCE, identity, db -> slow(db, noteOfQuery(exchange))));
        serve(server, "/forgot", (identity, exchange) -> forgot());
        server.start();
    }

    private static DataSource dataSource() {
        HikariConfig config = new HikariConfig();
        // Behind PgBouncer in transaction mode the next transaction may find another server connection: prepare nothing on it.
        config.setJdbcUrl("jdbc:postgresql://%s:%s/%s?prepareThreshold=0".formatted(
            System.getenv("PGHOST"), System.getenv("PGPORT"), System.getenv("PGDATABASE")));
        config.setUsername(System.getenv("PGUSER"));
        config.setMaximumPoolSize(20);
        return new HikariDataSource(config);
    }

    private static List<Invoice> invoices(Connection db) throws SQLException {
        try (Statement statement = db.createStatement();
             ResultSet rows = statement.executeQuery("SELECT id, tenant_id, note, created_by FROM invoice ORDER BY id")) {
            List<Invoice> found = new ArrayList<>();
            while (rows.next()) {
                found.add(invoice(rows));
            }
            return found;
        }
    }

    private static Invoice insert(Connection db, String note) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(
                "INSERT INTO invoice (note) VALUES (?) RETURNING id, tenant_id, note, created_by")) {
            statement.setString(1, note);
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return invoice(rows);
            }
        }
    }

    private static Invoice invoice(ResultSet row) throws SQLException {
        return new Invoice(row.getLong("id"), row.getString("tenant_id"), row.getString("note"), row.getString("created_by"));
    }

    /** An error after a write: nothing of it stays. */
    private static Answer fail(Connection db, String note) throws SQLException {
        insert(db, note);
        throw new IllegalStateException("failed after a write");
    }

    /** A statement that takes too long: nothing of the transaction stays. */
    private static Answer slow(Connection db, String note) throws SQLException {
        insert(db, note);
        try (Statement statement = db.createStatement()) {
            statement.execute("SET LOCAL statement_timeout = '1s'");
            statement.execute("SELECT pg_sleep(60)");
        }
        return new Answer(204, null);
    }

    /** A mistake: a connection of one's own is outside the request's transaction. The database says so. */
    private static Answer forgot() throws SQLException {
        try (Connection db = SOURCE.getConnection()) {
            return new Answer(200, invoices(db));
        }
    }

    private static String noteOfBody(HttpExchange exchange) {
        return JSON.fromJson(new InputStreamReader(exchange.getRequestBody(), StandardCharsets.UTF_8), Invoice.class).note();
    }

    private static String noteOfQuery(HttpExchange exchange) {
        return URLDecoder.decode(exchange.getRequestURI().getRawQuery().replaceFirst("^note=", ""), StandardCharsets.UTF_8);
    }

    private static void serve(HttpServer server, String path, Handler handler) {
        server.createContext(path, exchange -> {
            try (exchange) {
                Answer answer = answer(handler, exchange);
                byte[] body = JSON.toJson(answer.body()).getBytes(StandardCharsets.UTF_8);
                exchange.getResponseHeaders().set("Content-Type", "application/json");
                exchange.sendResponseHeaders(answer.status(), body.length);
                exchange.getResponseBody().write(body);
            }
        });
    }

    private static Answer answer(Handler handler, HttpExchange exchange) {
        Identity identity = Identity.of(exchange.getRequestHeaders());
        if (!identity.isKnown()) {
            return new Answer(401, Map.of("error", "who are you?"));
        }
        try {
            return handler.handle(identity, exchange);
        } catch (Exception error) {
            // Class 22 of SQLSTATE is bad input. The message is shown for the sake of the example: keep it in the log.
            boolean badInput = error instanceof SQLException sql && sql.getSQLState().startsWith("22");
            return new Answer(badInput ? 400 : 500, Map.of("error", String.valueOf(error.getMessage())));
        }
    }
}

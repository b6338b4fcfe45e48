import com.sun.net.httpserver.Headers;

/** Who asks. */
record Identity(String tenant, String user) {
    /** STAND-IN for authentication, which must find out by itself who asks: never trust such headers from outside. */
    static Identity of(Headers headers) {
        return new Identity(headers.getFirst("X-Tenant"), headers.getFirst("X-User"));
    }

    boolean isKnown() {
        return tenant != null && user != null;
    }
}

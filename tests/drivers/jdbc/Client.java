// pgjdbc as applications and pools use it. Arguments: connection strings of two
// logins, as libpq takes them.

import java.io.StringReader;
import java.net.URI;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

public class Client {
    static final List<String> ALICE = List.of("alice@innovate.example");

    public static void main(String[] urls) throws Exception {
        for (String mode : List.of("extended", "simple", "extendedForPrepared", "extendedCacheEverything")) {
            try (Connection own = connect(urls[0], "preferQueryMode", mode);
                    Connection other = connect(urls[1], "preferQueryMode", mode)) {
                for (Part part : List.<Part>of(
                        Client::parameters,
                        Client::resets,
                        Client::transactions,
                        Client::batches,
                        Client::fetches,
                        Client::copies,
                        Client::metadata,
                        Client::timeouts)) {
                    part.run(own);
                    check(!emails(other).contains(ALICE.get(0)), mode + ": the other's rows");
                    check(emails(own).equals(ALICE), mode + ": own rows");
                }
            }
        }
        largeObjects(urls[0]);
    }

    interface Part {
        void run(Connection connection) throws Exception;
    }

    static Connection connect(String url, String... more) throws Exception {
        URI uri = URI.create(url);
        String[] credential = uri.getUserInfo().split(":", 2);
        Properties properties = new Properties();
        properties.setProperty("user", credential[0]);
        properties.setProperty("password", credential[1]);
        for (int at = 0; at < more.length; at += 2) {
            properties.setProperty(more[at], more[at + 1]);
        }
        String place = uri.getHost() + ":" + uri.getPort() + uri.getPath();
        return DriverManager.getConnection("jdbc:postgresql://" + place + "?" + uri.getQuery(), properties);
    }

    static List<String> emails(Connection connection) throws SQLException {
        List<String> emails = new ArrayList<>();
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT email FROM users")) {
            while (rows.next()) {
                emails.add(rows.getString(1));
            }
        }
        return emails;
    }

    // From the fifth run on the driver uses a named statement.
    static void parameters(Connection connection) throws SQLException {
        try (PreparedStatement statement =
                connection.prepareStatement("SELECT ?::int + 1, ?::text, email FROM users")) {
            for (int n = 0; n < 12; n++) {
                statement.setInt(1, n);
                statement.setString(2, "é€𝄞");
                try (ResultSet rows = statement.executeQuery()) {
                    check(rows.next() && rows.getInt(1) == n + 1, "a number");
                    check(rows.getString(2).equals("é€𝄞"), "a text");
                    check(rows.getString(3).equals(ALICE.get(0)), "an own row");
                }
            }
        }
    }

    // What pools send when they lend a connection, as one string.
    static void resets(Connection connection) throws SQLException {
        for (String reset : List.of(
                "RESET ALL",
                "DISCARD ALL",
                "RESET ALL; SET TimeZone = 'UTC'",
                "SET SESSION AUTHORIZATION DEFAULT; RESET ALL",
                "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *",
                "SELECT 1; RESET ALL; SELECT 1")) {
            try (Statement statement = connection.createStatement()) {
                statement.execute(reset);
            }
            check(emails(connection).equals(ALICE), reset);
        }
    }

    static void transactions(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TEMP TABLE of_a_transaction (n int) ON COMMIT DROP");
            statement.execute("INSERT INTO of_a_transaction VALUES (1)");
            var savepoint = connection.setSavepoint("before");
            check("22012".equals(code(() -> statement.execute("SELECT 1/0"))), "division");
            check("25P02".equals(code(() -> statement.execute("SELECT 1"))), "failed");
            connection.rollback(savepoint);
            check(emails(connection).equals(ALICE), "within a transaction");
            connection.commit();
        }
        connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        connection.setReadOnly(true);
        check(emails(connection).equals(ALICE), "read only");
        connection.rollback();
        connection.setReadOnly(false);
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        connection.setAutoCommit(true);
    }

    static void batches(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TEMP TABLE of_a_batch (n int) ON COMMIT DROP");
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO of_a_batch VALUES (?)")) {
                for (int n = 0; n < 500; n++) {
                    insert.setInt(1, n);
                    insert.addBatch();
                }
                check(insert.executeBatch().length == 500, "a batch");
            }
            try (ResultSet rows = statement.executeQuery("SELECT sum(n) FROM of_a_batch")) {
                check(rows.next() && rows.getInt(1) == 499 * 250, "its rows");
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    // A portal that is fetched from in several round trips.
    static void fetches(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            int count = 0;
            try (ResultSet rows = statement.executeQuery("SELECT generate_series(1, 100)")) {
                while (rows.next()) {
                    count++;
                }
            }
            check(count == 100, "rows");
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void copies(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.execute("CREATE TEMP TABLE of_a_copy (n int) ON COMMIT DROP");
            var copies = connection.unwrap(PGConnection.class).getCopyAPI();
            check(copies.copyIn("COPY of_a_copy FROM STDIN", new StringReader("1\n2\n3\n")) == 3, "COPY");
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void metadata(Connection connection) throws SQLException {
        var metadata = connection.getMetaData();
        check(count(metadata.getTables(null, null, "users", new String[] {"TABLE"})) == 1, "tables");
        check(count(metadata.getColumns(null, null, "users", null)) > 1, "columns");
        check(count(metadata.getPrimaryKeys(null, null, "users")) == 1, "keys");
        check(count(metadata.getIndexInfo(null, null, "users", false, false)) >= 1, "indexes");
        check(count(metadata.getSchemas()) > 1, "schemas");
        check(count(metadata.getTypeInfo()) > 1, "types");
        count(metadata.getImportedKeys(null, null, "users"));
        count(metadata.getTablePrivileges(null, null, "users"));
        count(metadata.getFunctions(null, null, "%"));
        check(connection.isValid(5), "valid");
    }

    static void timeouts(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            check("57014".equals(code(() -> statement.execute("SELECT pg_sleep(30)"))), "cancelled");
        }
    }

    // By FunctionCall messages.
    static void largeObjects(String url) throws Exception {
        try (Connection connection = connect(url)) {
            connection.setAutoCommit(false);
            LargeObjectManager manager = connection.unwrap(PGConnection.class).getLargeObjectAPI();
            byte[] content = "content".repeat(10_000).getBytes();
            long oid = manager.createLO();
            try (LargeObject object = manager.open(oid, LargeObjectManager.READWRITE)) {
                object.write(content);
                object.seek(0);
                check(java.util.Arrays.equals(object.read(content.length), content), "a large object");
            }
            manager.unlink(oid);
            connection.commit();
        }
    }

    static int count(ResultSet rows) throws SQLException {
        int count = 0;
        while (rows.next()) {
            count++;
        }
        rows.close();
        return count;
    }

    interface Fails {
        void run() throws SQLException;
    }

    static String code(Fails fails) {
        try {
            fails.run();
            return null;
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}

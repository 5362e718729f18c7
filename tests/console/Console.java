// pgjdbc at the console, as DBeaver and reporting tools use it. Argument: a connection
// string of an administrator, as libpq takes it.

import java.net.URI;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Properties;

public class Console {
    public static void main(String[] urls) throws Exception {
        for (String mode : List.of("simple", "extended", "extendedForPrepared", "extendedCacheEverything")) {
            try (Connection connection = connect(urls[0], mode)) {
                check(connection.getMetaData().getDatabaseProductVersion().startsWith("1.23"), "version");
                check(connection.getTransactionIsolation() == Connection.TRANSACTION_READ_COMMITTED, "isolation");
                shows(connection);
                prepared(connection);
                refusals(connection);
                check(connection.isValid(5), mode + ": valid");
            }
        }
    }

    static Connection connect(String url, String mode) throws Exception {
        URI uri = URI.create(url);
        String[] credential = uri.getUserInfo().split(":", 2);
        Properties properties = new Properties();
        properties.setProperty("user", credential[0]);
        properties.setProperty("password", credential[1]);
        properties.setProperty("preferQueryMode", mode);
        properties.setProperty("ApplicationName", "reports");
        String place = uri.getHost() + ":" + uri.getPort() + uri.getPath();
        return DriverManager.getConnection("jdbc:postgresql://" + place + "?" + uri.getQuery(), properties);
    }

    static void shows(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SHOW POOLS")) {
            ResultSetMetaData columns = rows.getMetaData();
            check(columns.getColumnCount() == 16, "16 columns");
            check(columns.getColumnName(1).equals("database"), "the first column");
            check(columns.getColumnTypeName(3).equals("int4"), "a number");
            check(rows.next() && rows.getInt("cl_active") >= 0, "a row");
        }
    }

    // From the fifth run on the driver uses a named statement, and binary values.
    static void prepared(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SHOW STATS")) {
            for (int n = 0; n < 8; n++) {
                try (ResultSet rows = statement.executeQuery()) {
                    check(rows.next(), "a row");
                    check(rows.getBigDecimal("total_query_count").signum() >= 0, "a numeric");
                    check(rows.getString(1) != null, "a database");
                }
            }
        }
    }

    static void refusals(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            check(statement.executeUpdate("RECONNECT") == 0, "a command");
            statement.execute("SET application_name = 'again'");
            try {
                statement.executeQuery("SELECT now()");
                throw new AssertionError("a statement that is none");
            } catch (SQLException expected) {
                check(expected.getSQLState().equals("08P01"), expected.getSQLState());
            }
        }
    }

    static void check(boolean isSo, String what) {
        if (!isSo) {
            throw new AssertionError(what);
        }
    }
}

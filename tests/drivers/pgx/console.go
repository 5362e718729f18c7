package main

import (
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

// The console as Telegraf and CloudNativePG read it: kept connections, simple and
// prepared, columns by position.
func console(url string) {
	for _, simple := range []bool{true, false} {
		conn := connect(url, simple)
		for n := 0; n < 2; n++ {
			show(conn)
		}
		_, err := conn.Exec(ctx, "RECONNECT")
		must(err)
		_, err = conn.Exec(ctx, "SET default_pool_size = 0")
		var told *pgconn.PgError
		check(errors.As(err, &told) && told.Code == "22023", "a wrong value")
		_, err = conn.Exec(ctx, "SELECT now()")
		check(err != nil && strings.Contains(err.Error(), "SHOW HELP"), "no statement")
		check(conn.Close(ctx) == nil, "close")
	}
}

func show(conn *pgx.Conn) {
	var version string
	must(conn.QueryRow(ctx, "SHOW VERSION;").Scan(&version))
	check(strings.HasPrefix(version, "PgBouncer 1.23"), version)
	for _, row := range rows(conn, "SHOW LISTS") {
		_, isNumber := row[1].(int32)
		check(len(row) == 2 && isNumber, "lists")
	}
	for _, row := range rows(conn, "SHOW POOLS;") {
		check(len(row) == 16, "pools")
		for at, value := range row {
			_, isText := value.(string)
			check(isText == (at < 2 || at == 15), "a pool's column")
		}
	}
	for _, row := range rows(conn, "SHOW STATS") {
		check(len(row) == 17 && row[0] != nil, "stats")
	}
	for _, row := range rows(conn, "SHOW CLIENTS") {
		connected := strings.TrimSuffix(row[9].(string), " UTC")
		_, err := time.Parse("2006-01-02 15:04:05", connected)
		must(err)
	}
}

func rows(conn *pgx.Conn, sql string) (all [][]interface{}) {
	rows, err := conn.Query(ctx, sql)
	must(err)
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		must(err)
		all = append(all, values)
	}
	must(rows.Err())
	check(len(all) > 0, sql)
	return all
}

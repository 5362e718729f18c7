// pgx as applications use it. Arguments: connection strings of two logins, or
// `console` and that of an administrator.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
)

const alice = "alice@innovate.example"

var ctx = context.Background()

func main() {
	if os.Args[1] == "console" {
		console(os.Args[2])
		return
	}
	for _, simple := range []bool{false, true} {
		own, other := connect(os.Args[1], simple), connect(os.Args[2], simple)
		for name, part := range map[string]func(*pgx.Conn){
			"parameters":   parameters,
			"transactions": transactions,
			"batches":      batches,
			"copies":       copies,
			"cancels":      cancels,
			"resets":       resets,
		} {
			part(own)
			check(email(own) == alice, name+": the own row")
			check(email(other) != alice, name+": the other's row")
		}
		check(own.Close(ctx) == nil, "close")
		check(other.Close(ctx) == nil, "close")
	}
}

func connect(url string, simple bool) *pgx.Conn {
	config, err := pgx.ParseConfig(url)
	must(err)
	config.PreferSimpleProtocol = simple
	conn, err := pgx.ConnectConfig(ctx, config)
	must(err)
	return conn
}

func email(conn *pgx.Conn) (email string) {
	must(conn.QueryRow(ctx, "SELECT email FROM users").Scan(&email))
	return email
}

func parameters(conn *pgx.Conn) {
	for n := 0; n < 20; n++ {
		var number int
		var text string
		row := conn.QueryRow(ctx, "SELECT $1::int4 + 1, $2::text", n, "é€𝄞")
		must(row.Scan(&number, &text))
		check(number == n+1 && text == "é€𝄞", "parameters")
	}
}

func transactions(conn *pgx.Conn) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.Serializable})
	must(err)
	nested, err := tx.Begin(ctx)
	must(err)
	_, err = nested.Exec(ctx, "SELECT 1/0")
	check(code(err) == "22012", "division")
	must(nested.Rollback(ctx))
	must(tx.Commit(ctx))
}

func batches(conn *pgx.Conn) {
	batch := &pgx.Batch{}
	for n := 0; n < 100; n++ {
		batch.Queue("SELECT $1::int4", n)
	}
	batch.Queue("SELECT 1/$1::int4", 0)
	results := conn.SendBatch(ctx, batch)
	for n := 0; n < 100; n++ {
		var number int
		must(results.QueryRow().Scan(&number))
		check(number == n, "a batch")
	}
	var number int
	check(code(results.QueryRow().Scan(&number)) == "22012", "its error")
	results.Close()
}

func copies(conn *pgx.Conn) {
	tx, err := conn.Begin(ctx)
	must(err)
	_, err = tx.Exec(ctx, "CREATE TEMP TABLE of_a_copy (n int4) ON COMMIT DROP")
	must(err)
	rows := [][]interface{}{{int32(1)}, {int32(2)}, {int32(3)}}
	count, err := tx.CopyFrom(ctx, pgx.Identifier{"of_a_copy"}, []string{"n"}, pgx.CopyFromRows(rows))
	must(err)
	check(count == 3, "COPY")
	must(tx.Commit(ctx))
}

// pgx closes the connection of a context that is over, and cancels what it runs.
func cancels(conn *pgx.Conn) {
	another, err := pgx.ConnectConfig(ctx, conn.Config())
	must(err)
	limited, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	_, err = another.Exec(limited, "SELECT pg_sleep(30)")
	check(err != nil, "cancelled")
	<-another.PgConn().CleanupDone()
}

func resets(conn *pgx.Conn) {
	for _, reset := range []string{"DISCARD ALL", "RESET ALL; SET TimeZone = 'UTC'", "DEALLOCATE ALL"} {
		_, err := conn.PgConn().Exec(ctx, reset).ReadAll()
		must(err)
	}
	must(conn.Close(ctx))
	fresh, err := pgx.ConnectConfig(ctx, conn.Config())
	must(err)
	*conn = *fresh
}

func code(err error) string {
	var reported *pgconn.PgError
	if errors.As(err, &reported) {
		return reported.Code
	}
	return fmt.Sprint(err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(holds bool, what string) {
	if !holds {
		panic(what)
	}
}

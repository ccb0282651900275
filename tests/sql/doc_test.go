// Package sql_test runs handlers with the transaction of a database, on real databases: SQLite
// has one lock for all writers, so that nothing hides a deadlock, and PostgreSQL has everything
// else. It is a module of its own, because the server does not need their drivers.
package sql_test

package publisher

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
)

// SQLResultMax bounds the octets of the rows that [SQL.QueryContext] reads.
const SQLResultMax = 16 << 20

// A sqlResult has all rows of a query in memory. A [sql.Rows] of it never waits for a database.
type sqlResult struct {
	sets []sqlSet
	err  error
	size int
}

// sqlSet is one of the results of a query; most have one.
type sqlSet struct {
	columns []string
	types   []*sql.ColumnType
	rows    [][]any
}

// sqlValueSize is counted for each value, besides its octets.
const sqlValueSize = 16

// read reads all rows, and closes them.
func (q *sqlResult) read(rows *sql.Rows) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for {
		set := sqlSet{}
		if set.columns, err = rows.Columns(); err != nil {
			return err
		}
		if set.types, err = rows.ColumnTypes(); err != nil {
			return err
		}
		for rows.Next() {
			values := make([]any, len(set.columns))
			into := make([]any, len(values))
			for i := range values {
				into[i] = &values[i]
			}
			if err = rows.Scan(into...); err != nil {
				return err
			}
			if err = q.count(values); err != nil {
				return err
			}
			set.rows = append(set.rows, values)
		}
		q.sets = append(q.sets, set)
		if !rows.NextResultSet() {
			return rows.Err()
		}
	}
}

func (q *sqlResult) count(values []any) error {
	for _, v := range values {
		q.size += sqlValueSize
		switch v := v.(type) {
		case string:
			q.size += len(v)
		case []byte:
			q.size += len(v)
		}
	}
	if q.size > SQLResultMax {
		return fmt.Errorf("the result has more than %d octets: ask for less, or read it in the Do of r.SQL, row by row", SQLResultMax)
	}
	return nil
}

// replayDB makes [sql.Rows] from results. database/sql has no other way to make them.
var replayDB = sync.OnceValue(func() *sql.DB { return sql.OpenDB(replay{}) })

// replay is a driver whose only query returns the result that is its argument.
type replay struct{}

var errReplay = errors.New("a result that has been read takes no statements")

func (replay) Connect(context.Context) (driver.Conn, error) { return replay{}, nil }
func (replay) Driver() driver.Driver                        { return replay{} }
func (replay) Open(string) (driver.Conn, error)             { return replay{}, nil }
func (replay) Prepare(string) (driver.Stmt, error)          { return nil, errReplay }
func (replay) Begin() (driver.Tx, error)                    { return nil, errReplay }
func (replay) Close() error                                 { return nil }

// CheckNamedValue lets the result pass.
func (replay) CheckNamedValue(*driver.NamedValue) error { return nil }

func (replay) QueryContext(_ context.Context, _ string, args []driver.NamedValue) (driver.Rows, error) {
	result := args[0].Value.(*sqlResult)
	if result.err != nil {
		return nil, result.err
	}
	return &replayRows{sets: result.sets}, nil
}

// replayRows are the rows of a result, from a place on.
type replayRows struct {
	sets []sqlSet
	next int
}

func (p *replayRows) Columns() []string { return p.sets[0].columns }
func (p *replayRows) Close() error      { return nil }

func (p *replayRows) Next(into []driver.Value) error {
	rows := p.sets[0].rows
	if p.next == len(rows) {
		return io.EOF
	}
	for i, v := range rows[p.next] {
		into[i] = v
	}
	p.next++
	return nil
}

func (p *replayRows) HasNextResultSet() bool { return len(p.sets) > 1 }

func (p *replayRows) NextResultSet() error {
	if len(p.sets) == 1 {
		return io.EOF
	}
	p.sets, p.next = p.sets[1:], 0
	return nil
}

func (p *replayRows) ColumnTypeScanType(i int) reflect.Type { return p.sets[0].types[i].ScanType() }

func (p *replayRows) ColumnTypeDatabaseTypeName(i int) string {
	return p.sets[0].types[i].DatabaseTypeName()
}

func (p *replayRows) ColumnTypeLength(i int) (int64, bool) { return p.sets[0].types[i].Length() }
func (p *replayRows) ColumnTypeNullable(i int) (nullable, ok bool) {
	return p.sets[0].types[i].Nullable()
}

func (p *replayRows) ColumnTypePrecisionScale(i int) (precision, scale int64, ok bool) {
	return p.sets[0].types[i].DecimalSize()
}

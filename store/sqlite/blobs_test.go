package sqlite

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// namesBlob matches the columns that name blobs. A new one has to be called so.
var namesBlob = regexp.MustCompile(`(sha256|input|overlay|blob|picture|image|thumbnail|artifact)$`)

// TestEveryBlobThatARowNamesIsKnown goes through the schema: a column that names
// a blob has to be known to BlobInUse, else the blob is deleted, and to
// Inspection.Blobs, else it is missing in backups and checks.
func TestEveryBlobThatARowNamesIsKnown(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "test.db")
	s := openTest(t, path)
	columns, err := list(ctx, s.r, scanText, "columns", `SELECT s.name || '.' || c.name FROM sqlite_schema s, pragma_table_info(s.name) c
		WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite_%' AND s.name NOT LIKE 'goose_%' AND c.type = 'TEXT'`)
	require.NoError(t, err)
	found := 0
	for _, name := range columns {
		if !namesBlob.MatchString(name) {
			continue
		}
		found++
		table, column, _ := strings.Cut(name, ".")
		sum := sha256.Sum256([]byte(name))
		address := hex.EncodeToString(sum[:])
		used, err := s.BlobInUse(ctx, address)
		require.NoError(t, err)
		require.False(t, used)
		addRow(t, path, table, column, address)
		used, err = s.BlobInUse(ctx, address)
		require.NoError(t, err)
		require.True(t, used, "BlobInUse does not look at %s", name)
		i, err := Inspect(ctx, path)
		require.NoError(t, err)
		files, err := i.Blobs(ctx)
		require.NoError(t, err)
		require.NoError(t, i.Close())
		listed := false
		for _, f := range files {
			listed = listed || f.Name == address
		}
		require.True(t, listed, "Inspection.Blobs does not look at %s", name)
	}
	require.GreaterOrEqual(t, found, 4, "of model versions and results: %v", columns)
}

// addRow adds a row that refers to nothing but a blob.
func addRow(t *testing.T, path, table, column, address string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	db.SetMaxOpenConns(1) // what is set next is the connection's
	_, err = db.ExecContext(t.Context(), `PRAGMA foreign_keys = OFF`)
	require.NoError(t, err)
	columns, err := list(t.Context(), db, func(r row) (c [2]string, err error) {
		err = r.Scan(&c[0], &c[1])
		return c, err
	}, "columns", `SELECT name, type FROM pragma_table_info(?)`, table)
	require.NoError(t, err)
	var names, marks []string
	var values []any
	for _, c := range columns {
		var value any = 1
		switch {
		case c[0] == column:
			value = address
		case namesBlob.MatchString(c[0]):
			value = ""
		case c[1] == "TEXT":
			value = fmt.Sprintf("%.8s", address)
		case c[1] == "BLOB":
			value = []byte{}
		}
		names, marks, values = append(names, c[0]), append(marks, "?"), append(values, value)
	}
	_, err = db.ExecContext(t.Context(), `INSERT INTO `+table+` (`+strings.Join(names, ", ")+`) VALUES (`+strings.Join(marks, ", ")+`)`, values...)
	require.NoError(t, err, "a row of %s", table)
}

-- Writes docs/sql.md from the comments of an installed pg_atoms:  psql -XAtq -f scripts/sql_docs.sql > docs/sql.md
\pset footer off
SET search_path = atoms, pg_catalog;
\qecho '# SQL reference'
\qecho
\qecho 'Written by `scripts/sql_docs.sql` from the comments in the database: `\\df+ atoms.*` and `\\d+ atoms.*` show the same. Everything lies in the'
\qecho 'schema `atoms`. Positions count from 0, sizes are bytes. A function takes the model''s unique name first.'
\qecho
\qecho '## Access'
\qecho
\qecho 'Nothing is granted to PUBLIC but the input and output of types. `grant_access(role, level)` gives `read`, `write` (and `read`) or `admin` (and both);'
\qecho '`revoke_access(role)` takes it back. Functions that open files of the server need besides PostgreSQL''s own role (`pg_read_server_files`,'
\qecho '`pg_write_server_files`) and a path under the setting `pg_atoms.allowed_dirs`. In a shared store, whoever may write can tell that some bytes are'
\qecho 'stored already: announcing a hash says so. Grant `write` to those who may also `read`: that is why the levels include each other.'
\qecho
\qecho '## Errors'
\qecho
\qecho '| what happened | SQLSTATE |'
\qecho '|---|---|'
\qecho '| a file, or the binary form of a value, is malformed | 22P03 |'
\qecho '| an argument is out of its domain; bytes do not have the hash or length given | 22023 |'
\qecho '| a number does not fit its type: NaN or an infinity in a vector, an integer beyond 2^53 as double precision | 22003 |'
\qecho '| the text form of a value is malformed | 22P02 |'
\qecho '| no such model, file, tensor, atom, embedding, import | 42704 |'
\qecho '| already there | 42710 |'
\qecho '| stored bytes do not have their hash | XX001 |'
\qecho '| an index page is damaged: the message names block and rule; REINDEX | XX002 |'
\qecho '| a function of dimspace was given what is no index of it | 42809 |'
\qecho '| a limit was exceeded | 54000 |'
\qecho '| not allowed | 42501 |'
\qecho '| no such file on the server | 58P01 |'
\qecho '| reading or writing a server file failed; the disk is full | 58030; 53100 |'
\qecho '| known but not supported | 0A000 |'
\qecho '| not complete yet, or in the wrong state | 55000 |'
\qecho '| writing on a standby | 25006 |'
\qecho '| other transactions keep a table locked | 55P03 |'
\qecho '| needs CALL outside a transaction block | 2D000 |'
\qecho '| an atom was collected between two looks: repeat the batch | 40001 |'
\qecho
\qecho '## Settings'
\qecho
\qecho '| setting | default | who may set it | meaning |'
\qecho '|---|---|---|---|'
LOAD 'pg_atoms';
SELECT format('| `%s` | `%s` | %s | %s %s |', name, boot_val, CASE context WHEN 'superuser' THEN 'superuser' ELSE 'anyone' END, short_desc, extra_desc)
FROM pg_settings WHERE name LIKE 'pg\_atoms.%' ORDER BY name;
\qecho
\qecho '## Functions and procedures'
\qecho
\qecho '| call | level | what it does |'
\qecho '|---|---|---|'
SELECT format('| `%s(%s)%s` | %s | %s |', p.proname, pg_get_function_arguments(p.oid),
              CASE p.prokind WHEN 'p' THEN '' ELSE ' -> ' || pg_get_function_result(p.oid) END, r.level, obj_description(p.oid, 'pg_proc'))
FROM pg_proc p JOIN access_rules() r ON r.routine = p.oid
WHERE r.level IN ('read', 'write', 'admin') AND obj_description(p.oid, 'pg_proc') !~ '^(internal|implementation of|I/O:|aggregate:|trigger:)' ORDER BY p.proname, p.oid;
\qecho
\qecho '## Types'
\qecho
\qecho '| type | what it is |'
\qecho '|---|---|'
SELECT format('| `%s` | %s |', t.typname, obj_description(t.oid, 'pg_type'))
FROM pg_type t WHERE t.typnamespace = 'atoms'::regnamespace AND t.typtype = 'b' AND t.typelem = 0 ORDER BY t.typname;
\qecho
\qecho 'Casts, `::` written where it says explicit, found by the server where it says implicit, and on assignment besides; those to and from the types of pgvector'
\qecho 'come with the extension `pg_atoms_vector`.'
\qecho
\qecho '| from | to | when | gives |'
\qecho '|---|---|---|---|'
SELECT format('| `%s` | `%s` | %s | %s |', format_type(c.castsource, NULL), format_type(c.casttarget, NULL),
              CASE c.castcontext WHEN 'i' THEN 'implicit' WHEN 'a' THEN 'assignment' ELSE 'explicit' END, obj_description(c.oid, 'pg_cast'))
FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc WHERE p.pronamespace = 'atoms'::regnamespace AND c.castsource <> c.casttarget ORDER BY 1;
\qecho
\qecho '## Operators'
\qecho
\qecho '| operator | gives | what it is |'
\qecho '|---|---|---|'
SELECT format('| `%s %s %s` | `%s` | %s |', format_type(o.oprleft, NULL), replace(o.oprname, '|', '\|'), format_type(o.oprright, NULL),
              format_type(o.oprresult, NULL), obj_description(o.oid, 'pg_operator'))
FROM pg_operator o WHERE o.oprnamespace = 'atoms'::regnamespace ORDER BY format_type(o.oprleft, NULL), o.oprname;
\qecho
\qecho '## Indexes'
\qecho
\qecho '`CREATE INDEX ... USING dimspace (column [class]) [WITH (options)]` makes an index for `column <@ dim_range(dimension, lo, hi)`, several conditions ANDed, of one'
\qecho 'column with at most 16,000 dimensions. Vectors of one index have as many dimensions each (22023). There is no unique, multi-column, ordered or index-only scan.'
\qecho
\qecho '| operator class | of type | default | what it is |'
\qecho '|---|---|---|---|'
SELECT format('| `%s` | `%s` | %s | %s |', c.opcname, format_type(c.opcintype, NULL), CASE WHEN c.opcdefault THEN 'yes' ELSE '' END, obj_description(c.oid, 'pg_opclass'))
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod WHERE a.amname = 'dimspace' ORDER BY c.opcintype::regtype::text, c.opcname;
\qecho
\qecho '| option | default | what it is |'
\qecho '|---|---|---|'
\qecho '| `planes` | 2 | bytes of a code: 2, or 1 for half the index, which leaves some hundred of 50,000 rows to be looked at in the table |'
\qecho '| `cells` | 0 | cells that the rows are trained into; 0: one to 500 rows. They are split as they grow |'
\qecho '| `fold_rows` | 0 | new rows of a cell that are coded together; 0: 16, or one to 32 rows of the cell. May be changed at any time |'
\qecho '| `dimensions` | 0 | dimensions of all vectors, where the type does not say; 0: those of the first row |'
\qecho '| `one_bit` | off | reserved: `on` is refused (0A000) |'
\qecho
\qecho 'Options other than `fold_rows` take effect with REINDEX.'
\qecho
\qecho '## Tables and views'
SELECT format(E'\n### `%s` (%s)\n\n%s\n\n| column | type | meaning |\n|---|---|---|\n%s', c.relname, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END,
              obj_description(c.oid, 'pg_class'),
              (SELECT string_agg(format('| `%s` | `%s` | %s |', a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)), E'\n' ORDER BY a.attnum)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_class c WHERE c.relnamespace = 'atoms'::regnamespace AND c.relkind IN ('r', 'v', 'p') AND NOT c.relispartition ORDER BY c.relkind DESC, c.relname;

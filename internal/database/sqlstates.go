package database

const (
	notUsed  = "nothing of ours uses this"
	notAnErr = "it reports no failure"
	notOurs  = "it comes from a trigger, a function, a view or a foreign table, and we have none: see who added it"
)

// stalePlan is the verdict on 0A000 where it says that a table was changed under a prepared statement, which the driver then prepares anew.
var stalePlan = verdict{means: passes, again: true, why: "a migration has changed the table under a prepared statement"}

// refusedByPooler is the verdict on 08P01 where a pooler says what it does not know.
var refusedByPooler = verdict{means: person, why: "check the database, the user and the password, at the pooler, too; a database that is missing is made by " +
	"orderly migrate past the pooler (DIRECT_DATABASE_URL)"}

// sqlstates is the verdict on each class of PostgreSQL's SQLSTATEs (appendix A of its manual), and on each code that differs from its class.
var sqlstates = map[string]verdict{
	"00": {means: ours, why: notAnErr},
	"01": {means: ours, why: notAnErr},
	"02": {means: ours, why: notAnErr},
	"03": {means: ours, why: "we send whole statements"},

	"08":    {means: passes, why: "the connection was lost, or none could be made"},
	"08P01": {means: passes, why: "a pooler has no other code: mostly the server behind it is starting or busy"},
	"09":    {means: person, why: notOurs},
	"0A":    {means: ours, why: "the statement asks for what this version of PostgreSQL can't do"},
	"0B":    {means: ours, why: notUsed},
	"0F":    {means: ours, why: notUsed},
	"0L":    {means: ours, why: notUsed},
	"0P":    {means: person, why: "check the role that the URL or the login's own settings name"},
	"0Z":    {means: ours, why: notUsed},
	"10":    {means: ours, why: notUsed},
	"20":    {means: ours, why: notUsed},
	"21":    {means: ours, why: "a statement returned more rows than it may"},
	"22":    {means: ours, why: "a value does not fit its column; requests are checked before"},
	"23":    {means: ours, why: "what services expect to collide they ask for with ON CONFLICT"},
	"24":    {means: ours, why: notUsed},
	"25":    {means: ours, why: "a statement in a transaction that can't take it"},
	"25006": {means: passes, again: true, reconnect: true, why: "the server is a standby or was set read-only: a fail-over or its operator ends that"},
	"25P03": {means: passes, why: "the server ended a transaction of a process that had been stopped"},
	"25P04": {means: passes, why: "the server ended a transaction that took longer than its settings allow"},
	"26":    {means: person, reconnect: true, why: "a pooler gives each transaction another session: say so in the URL (pool_mode=transaction)"},
	"27":    {means: person, why: notOurs},
	"28":    {means: person, why: "check the user, the password and whether the server asks for TLS (sslmode)"},
	"28P01": {means: person, why: "check the user and the password"},
	"2B":    {means: ours, why: "a migration drops what others need"},
	"2D":    {means: ours, why: notUsed},
	"2F":    {means: person, why: notOurs},
	"34":    {means: ours, why: notUsed},
	"38":    {means: person, why: notOurs},
	"39":    {means: person, why: notOurs},
	"3B":    {means: ours, why: "a savepoint that was not set"},
	"3D":    {means: person, why: "run orderly migrate, or check the name"},
	"3F":    {means: person, why: "the schema is gone, or search_path does not name it: run orderly migrate"},

	"40":    {means: passes, again: true, why: "it lost to another transaction"},
	"40002": {means: ours, why: "as class 23, at the commit"},
	"40003": {means: passes, why: "whether it was done is not known"},
	"42":    {means: ours, why: "the statement is wrong"},
	"42501": {means: person, unwritable: true, why: "grant the login that right, or use another login"},
	"42703": {means: person, why: "the schema is not the one this program was made for: run orderly migrate"},
	"42P01": {means: person, why: "the schema is not the one this program was made for: run orderly migrate"},
	"42P05": {means: person, reconnect: true, why: "a pooler gives each transaction another session: say so in the URL (pool_mode=transaction)"},
	"44":    {means: person, why: notOurs},

	"53":    {means: passes, why: "the server is short of memory, connections or what else its settings limit"},
	"53100": {means: passes, unwritable: true, why: "the server's disk is full; what is freed there helps at once"},
	"54":    {means: ours, why: "the statement is too big"},
	"55":    {means: ours, why: "the statement does not fit the state of what it names"},
	"55000": {means: passes, why: "the server is recovering, or its operator lets no one into the database"},
	"55006": {means: passes, why: "another session uses it"},
	"55P03": {means: passes, again: true, locked: true, why: "another transaction holds the lock"},
	"57":    {means: passes, why: "the server is starting or stopping, or its operator or settings ended the statement"},
	"57P04": {means: person, why: "the database was dropped: run orderly migrate, or restore it"},
	"58":    {means: person, unwritable: true, why: "the server can't use its files: see its log and its disk"},
	"72":    {means: passes, why: "the statement ran longer than the server keeps old rows"},

	"F0": {means: person, why: "correct the server's configuration: see its log"},
	"HV": {means: person, why: notOurs},
	"P0": {means: person, why: notOurs},
	"XX": {means: person, why: "the server has met a fault of its own or damaged data: see its log"},
}

// resultCodes is the verdict on each of SQLite's primary result codes (https://sqlite.org/rescode.html).
var resultCodes = map[int]verdict{
	1:  {means: ours, why: "ERROR: the statement is wrong"},
	2:  {means: person, why: "INTERNAL: SQLite has met a fault of its own: check the file with PRAGMA integrity_check"},
	3:  {means: person, unwritable: true, why: "PERM: give the process the right to read and write the file and its folder"},
	4:  {means: ours, why: "ABORT: a statement outlived its transaction"},
	5:  {means: passes, again: true, why: "BUSY: another process holds the lock"},
	6:  {means: passes, again: true, why: "LOCKED: another connection of this process holds the lock"},
	7:  {means: passes, why: "NOMEM: the machine is short of memory"},
	8:  {means: person, unwritable: true, why: "READONLY: give the process the right to write the file and its folder, and see that it was not moved"},
	9:  {means: passes, why: "INTERRUPT: the caller has left"},
	10: {means: person, unwritable: true, why: "IOERR: the file can't be read or written: see the disk"},
	11: {means: person, unwritable: true, why: "CORRUPT: the file is damaged: restore it"},
	12: {means: ours, why: "NOTFOUND: " + notUsed},
	13: {means: passes, unwritable: true, why: "FULL: the disk is full; what is freed there helps at once"},
	14: {means: person, unwritable: true, why: "CANTOPEN: check the path, and the rights to the file and its folder"},
	15: {means: passes, why: "PROTOCOL: processes that opened the file at once got into each other's way"},
	16: {means: ours, why: "EMPTY: " + notUsed},
	17: {means: passes, again: true, why: "SCHEMA: a migration has changed the table under a prepared statement"},
	18: {means: ours, why: "TOOBIG: the statement or a value is too big"},
	19: {means: ours, why: "CONSTRAINT: what services expect to collide they ask for with ON CONFLICT"},
	20: {means: ours, why: "MISMATCH: a value does not fit its column"},
	21: {means: ours, why: "MISUSE: we used the library wrongly"},
	22: {means: person, why: "NOLFS: keep the file on a file system that takes big ones"},
	23: {means: ours, why: "AUTH: " + notUsed},
	24: {means: ours, why: "FORMAT: " + notUsed},
	25: {means: ours, why: "RANGE: a parameter that the statement does not have"},
	26: {means: person, unwritable: true, why: "NOTADB: the file is no SQLite database: check the path, or restore it"},
	27: {means: ours, why: "NOTICE: " + notAnErr},
	28: {means: ours, why: "WARNING: " + notAnErr},

	100: {means: ours, why: "ROW: " + notAnErr},
	101: {means: ours, why: "DONE: " + notAnErr},
}

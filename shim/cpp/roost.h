// The C interface between the Rust crate (src/ffi.rs, the same declarations) and DuckDB's C++.
//
// Rules: no exception and no panic crosses it. A call that can fail returns a roost_failure (null = it went well),
// which the caller frees. Texts are UTF-8 with a length, borrowed for the call; text that C++ hands out goes through
// a sink that copies it. Objects are freed by the function named after them.
#pragma once
#include <cstddef>
#include <cstdint>

extern "C" {

struct roost_text {
	const char *data;
	size_t size;
};
typedef void (*roost_text_sink)(void *into, roost_text text);

struct roost_failure;
struct roost_database;
struct roost_connection;
struct roost_interrupt;
struct roost_statement;
struct roost_prepared;
struct roost_result;

// failure.cpp
void roost_failure_read(const roost_failure *failure, void *into,
                        void (*head)(void *into, uint8_t type, roost_text message),
                        void (*extra)(void *into, roost_text key, roost_text value));
void roost_failure_free(roost_failure *failure);

// Where a Rust callback puts its error. kind: 0 = IO, 1 = refused, 2 = fatal.
void roost_callback_fail(void *slot, uint8_t kind, roost_text message, roost_text code);

// file_system.cpp: Rust's Vfs. Each callback returns 0, or 1 after roost_callback_fail(slot, ...).
struct roost_vfs {
	void *self;
	int32_t (*open)(void *self, void *slot, roost_text path, uint64_t flags, uint8_t lock, void **file);
	int32_t (*exists)(void *self, void *slot, roost_text path, bool *exists);
	int32_t (*remove)(void *self, void *slot, roost_text path, bool *removed);
	int32_t (*rename)(void *self, void *slot, roost_text from, roost_text to);
	void (*drop)(void *self);
	int32_t (*file_read)(void *file, void *slot, uint8_t *buffer, uint64_t size, uint64_t offset, uint64_t *read);
	int32_t (*file_write)(void *file, void *slot, const uint8_t *data, uint64_t size, uint64_t offset);
	int32_t (*file_append)(void *file, void *slot, const uint8_t *data, uint64_t size);
	int32_t (*file_sync)(void *file, void *slot);
	int32_t (*file_truncate)(void *file, void *slot, uint64_t size);
	int32_t (*file_trim)(void *file, void *slot, uint64_t offset, uint64_t size, bool *freed);
	int32_t (*file_size)(void *file, void *slot, uint64_t *size);
	void (*file_drop)(void *file);
};

// plan_facts.cpp: Rust's PlanGuard. A plan arrives as records, each a tag (src/plan_records.rs) and texts.
enum roost_renaming : uint8_t {
	roost_renaming_begins = 0,
	roost_renaming_failed = 1,
	roost_renaming_committed = 2,
	roost_renaming_rolled_back = 3
};
struct roost_guard {
	void *self;
	void *(*begin)(void *self, uint8_t stage, uint8_t statement);
	void (*record)(void *facts, uint8_t tag, const roost_text *fields, size_t count);
	// Frees `facts`. 0 = go on, 1 = refused, after roost_callback_fail(slot, ...).
	int32_t (*judge)(void *self, void *facts, void *slot, uint64_t context, uint8_t trust);
	// Frees `facts` without a verdict: the walk failed.
	void (*discard)(void *facts);
	// A transaction renames its first table, a rename has failed, or the transaction ends.
	void (*renaming)(void *self, uint8_t what);
	void (*drop)(void *self);
};

// database.cpp
roost_failure *roost_database_open(const roost_text *config, size_t pairs, const roost_vfs *vfs, const roost_guard *guard,
                                   roost_database **out);
void roost_database_free(roost_database *database);
bool roost_database_invalidated(roost_database *database, void *into, roost_text_sink reason);
void roost_library_version(void *into, roost_text_sink sink);
roost_failure *roost_connect(roost_database *database, uint64_t id, uint8_t trust, roost_connection **out);
roost_failure *roost_connection_use(roost_connection *connection, roost_text database);
// The same, with all its schemas in the search path.
roost_failure *roost_connection_use_all(roost_connection *connection, roost_text database);
void roost_connection_free(roost_connection *connection);
bool roost_connection_in_transaction(roost_connection *connection);
roost_interrupt *roost_connection_interrupt(roost_connection *connection);
void roost_interrupt_fire(roost_interrupt *handle);
bool roost_interrupt_progress(roost_interrupt *handle, double *percentage, uint64_t *rows, uint64_t *total);
void roost_interrupt_free(roost_interrupt *handle);

// former_names.cpp. For databases attached with TYPE roost; call it before connecting. `place`: DuckDB's own connections
// are placed in the database.
roost_failure *roost_database_former_names(roost_database *database, const roost_text *names, size_t count, bool place);

// portable_script.cpp. `script` holds CREATE statements; the sink gets it without these names of databases.
roost_failure *roost_portable_script(roost_text script, const roost_text *names, size_t count, void *into,
                                     roost_text_sink sink);

// function_guard.cpp
roost_failure *roost_guard_table_function(roost_connection *connection, roost_text schema, roost_text name,
                                          roost_text refusal);
roost_failure *roost_guard_scalar_function(roost_connection *connection, roost_text schema, roost_text name,
                                           roost_text refusal);

// statement.cpp
roost_failure *roost_extract(roost_connection *connection, roost_text sql, void *into,
                             void (*found)(void *into, roost_statement *statement, uint8_t type, uint64_t source,
                                           uint64_t start, uint64_t length));
void roost_statement_free(roost_statement *statement);
// Takes the statement, also when it fails.
roost_failure *roost_prepare(roost_connection *connection, roost_statement *statement, roost_prepared **out);
void roost_prepared_free(roost_prepared *prepared);
struct roost_properties {
	uint8_t statement;
	uint8_t returns;
	bool requires_valid_transaction;
	bool complete;
	bool streams;
	uint64_t parameters;
};
void roost_prepared_properties(const roost_prepared *prepared, roost_properties *out);
void roost_prepared_databases(const roost_prepared *prepared, bool modified, void *into, roost_text_sink sink);
void roost_prepared_columns(const roost_prepared *prepared, void *into,
                            void (*column)(void *into, roost_text name, roost_text type));
// The type is empty where nothing tells it.
typedef void (*roost_parameter_sink)(void *into, roost_text name, uint64_t index, roost_text type);
void roost_prepared_parameters(const roost_prepared *prepared, void *into, roost_parameter_sink parameter);
// kind: 0 null, 1 bool, 2 BIGINT, 3 HUGEINT, 4 UHUGEINT, 5 DOUBLE, 6 VARCHAR, 7 BLOB
struct roost_value {
	uint8_t kind;
	uint64_t low;
	uint64_t high;
	double number;
	roost_text bytes;
};
roost_failure *roost_prepared_bind(roost_prepared *prepared, roost_text name, const roost_value *value);
void roost_prepared_clear(roost_prepared *prepared);
roost_failure *roost_execute(roost_prepared *prepared, roost_result **out);
void roost_result_free(roost_result *result);
void roost_result_columns(const roost_result *result, void *into,
                          void (*column)(void *into, roost_text name, roost_text type));
uint8_t roost_result_returns(const roost_result *result);
// `schema` and `array` are structs of the Arrow C data interface, released by the caller. `rows` = 0 at the end.
roost_failure *roost_result_schema(roost_result *result, void *schema);
roost_failure *roost_result_next(roost_result *result, void *array, uint64_t *rows);
}

// Between commit_check.cpp, alteration.cpp and former_names.cpp: the tables that are being altered, and the way to what a
// transaction has changed.
#pragma once
#include "duckdb.hpp"
#include "duckdb/transaction/duck_transaction.hpp"
#include "duckdb/transaction/transaction_manager.hpp"

#include <mutex>
#include <unordered_set>

namespace roost {

struct GuardInfo;

// Tables whose storage statements are replacing at this moment, and the lock under which transactions are committed: a
// table does not begin to be altered while one is.
struct AlteredTables {
	std::mutex lock;
	std::unordered_set<duckdb::DataTable *> tables;
};

// Whether the transaction has deleted or updated rows of the table that are not its own insertions.
bool HasChangedRows(duckdb::DuckTransaction &transaction, const duckdb::DataTable &table);

// DuckDB's transaction manager, but that it refuses at once what it would refuse in the middle of a commit.
duckdb::unique_ptr<duckdb::TransactionManager> MakeTransactionManager(duckdb::AttachedDatabase &database,
                                                                      duckdb::shared_ptr<GuardInfo> guard);

} // namespace roost

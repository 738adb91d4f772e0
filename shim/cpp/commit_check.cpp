// Refuses a transaction at its COMMIT, as a whole, that DuckDB would refuse half way.
//
// DuckDB looks at what a transaction has changed one change after the other, and commits each before it looks at the next.
// When one of them cannot be committed, for another transaction has altered or dropped what it is about, DuckDB takes the
// former ones back. Rows that were deleted go back into the indexes of their table while the rows that were inserted are
// still there; if both have the same key, that ends the process (DuckTransaction::Commit is noexcept). So the same questions
// are asked here before it begins.
#include "commit_check.hpp"
#include "reveal.hpp"
#include "shim.hpp"

#include "duckdb/catalog/catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/dependency/dependency_entry.hpp"
#include "duckdb/catalog/catalog_entry/duck_table_entry.hpp"
#include "duckdb/catalog/catalog_set.hpp"
#include "duckdb/catalog/dependency_manager.hpp"
#include "duckdb/catalog/duck_catalog.hpp"
#include "duckdb/common/enums/undo_flags.hpp"
#include "duckdb/storage/buffer_manager.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/transaction/delete_info.hpp"
#include "duckdb/transaction/duck_transaction_manager.hpp"
#include "duckdb/transaction/local_storage.hpp"
#include "duckdb/transaction/meta_transaction.hpp"
#include "duckdb/transaction/update_info.hpp"

using namespace duckdb;
using roost::AlteredTables;

namespace roost {

struct TransactionUndo {
	using type = UndoBuffer DuckTransaction::*;
	friend type Revealed(TransactionUndo);
};
template struct Reveal<TransactionUndo, &DuckTransaction::undo_buffer>;

struct UndoEntries {
	using type = UndoBufferAllocator UndoBuffer::*;
	friend type Revealed(UndoEntries);
};
template struct Reveal<UndoEntries, &UndoBuffer::allocator>;

struct CommitOfDrop {
	using type = void (DependencyManager::*)(CatalogTransaction, transaction_t, CatalogEntry &);
	friend type Revealed(CommitOfDrop);
};
template struct Reveal<CommitOfDrop, &DependencyManager::VerifyCommitDrop>;

} // namespace roost

namespace {

// What UndoBuffer::IterateEntries does, which only DuckDB can call: the oldest entry first.
template <class VISIT>
void ForEachChange(DuckTransaction &transaction, VISIT visit) {
	auto &entries = transaction.*Revealed(roost::TransactionUndo()).*Revealed(roost::UndoEntries());
	for (optional_ptr<UndoBufferEntry> block = entries.tail; block; block = block->prev) {
		auto handle = entries.buffer_manager.Pin(block->block);
		auto end = handle.Ptr() + block->position;
		for (auto change = handle.Ptr(); change < end;) {
			auto kind = Load<UndoFlags>(change);
			auto length = Load<uint32_t>(change + sizeof(UndoFlags));
			auto content = change + sizeof(UndoFlags) + sizeof(uint32_t);
			visit(kind, content);
			change = content + length;
		}
	}
}

// The table whose row a change deletes or updates, if that is what it does.
optional_ptr<DataTable> TableOf(UndoFlags kind, data_ptr_t content) {
	switch (kind) {
	case UndoFlags::DELETE_TUPLE:
		return reinterpret_cast<DeleteInfo *>(content)->table;
	case UndoFlags::UPDATE_TUPLE:
		return reinterpret_cast<UpdateInfo *>(content)->table;
	default:
		return nullptr;
	}
}

// Sees everything that is committed, and nothing else.
transaction_t Now() {
	return TRANSACTION_ID_START - 1;
}

// Something new needs this. It is gone if it was there when the transaction began; what was not is the transaction's own.
void CheckNeeded(DuckTransaction &transaction, CatalogEntry &dependency) {
	try {
		dependency.set->VerifyExistenceOfDependency(Now(), dependency);
	} catch (const DependencyException &gone) {
		try {
			dependency.set->VerifyExistenceOfDependency(transaction.start_time, dependency);
		} catch (const DependencyException &) {
			return;
		}
		throw;
	}
}

void CheckDrop(DuckTransaction &transaction, CatalogEntry &dropped) {
	auto &catalog = dropped.ParentCatalog().Cast<DuckCatalog>();
	CatalogTransaction committed(catalog.GetDatabase(), MAX_TRANSACTION_ID, Now());
	((*catalog.GetDependencyManager()).*Revealed(roost::CommitOfDrop()))(committed, transaction.start_time, dropped);
}

void CheckAltered(DuckTableEntry &former, DuckTableEntry &present) {
	if (!RefersToSameObject(former.GetStorage(), present.GetStorage()) && former.GetStorage().IsMainTable()) {
		throw TransactionException("Table \"%s\" was altered, and another transaction has taken that back", former.name);
	}
}

void CheckEntry(DuckTransaction &transaction, CatalogEntry &former) {
	auto &present = former.Parent();
	if (former.type == CatalogType::TABLE_ENTRY && present.type == CatalogType::TABLE_ENTRY) {
		CheckAltered(former.Cast<DuckTableEntry>(), present.Cast<DuckTableEntry>());
	} else if (present.type == CatalogType::DEPENDENCY_ENTRY) {
		if (present.Cast<DependencyEntry>().Side() == DependencyEntryType::SUBJECT) {
			CheckNeeded(transaction, present);
		}
	} else if (present.type == CatalogType::DELETED_ENTRY && former.set) {
		CheckDrop(transaction, former);
	}
}

void CheckTable(const AlteredTables &altered, DataTable &table) {
	if (!table.IsMainTable() || altered.tables.count(&table) > 0) {
		throw TransactionException("Rows of table \"%s\" were changed, and another transaction has altered or dropped it",
		                           table.GetTableName());
	}
}

void CheckCommit(DuckTransaction &transaction, const AlteredTables &altered) {
	for (auto table : altered.tables) {
		if (transaction.GetLocalStorage().Find(*table)) {
			throw TransactionException("Rows were inserted into table \"%s\", and another transaction is altering it",
			                           table->GetTableName());
		}
	}
	optional_ptr<DataTable> last;
	ForEachChange(transaction, [&](UndoFlags kind, data_ptr_t content) {
		if (kind == UndoFlags::CATALOG_ENTRY) {
			return CheckEntry(transaction, *Load<CatalogEntry *>(content));
		}
		auto table = TableOf(kind, content);
		if (table && table != last) {
			CheckTable(altered, *table);
			last = table;
		}
	});
}

// Lets go of rows that the transaction has inserted into tables that it has dropped since with what they depended on: DuckDB
// would try to commit them.
void DropRowsOfDropped(DuckTransaction &transaction) {
	ForEachChange(transaction, [&](UndoFlags kind, data_ptr_t content) {
		if (kind != UndoFlags::CATALOG_ENTRY) {
			return;
		}
		auto &former = *Load<CatalogEntry *>(content);
		if (former.type == CatalogType::TABLE_ENTRY && former.Parent().type == CatalogType::DELETED_ENTRY) {
			transaction.GetLocalStorage().DropTable(former.Cast<DuckTableEntry>().GetStorage());
		}
	});
}

class CheckingTransactionManager : public DuckTransactionManager {
public:
	CheckingTransactionManager(AttachedDatabase &database, shared_ptr<roost::GuardInfo> guard_p)
	    : DuckTransactionManager(database), guard(std::move(guard_p)) {
	}

	ErrorData CommitTransaction(ClientContext &context, Transaction &transaction) override {
		auto &changes = transaction.Cast<DuckTransaction>();
		if (!changes.ChangesMade()) {
			return DuckTransactionManager::CommitTransaction(context, transaction);
		}
		// To the end of the commit: nobody else's comes between it and the check.
		std::lock_guard<std::mutex> committing(guard->altered.lock);
		try {
			CheckCommit(changes, guard->altered);
		} catch (const std::exception &exception) {
			ErrorData error(exception);
			RollbackTransaction(transaction);
			return error;
		}
		return DuckTransactionManager::CommitTransaction(context, transaction);
	}

private:
	const shared_ptr<roost::GuardInfo> guard;
};

} // namespace

namespace roost {

bool HasChangedRows(DuckTransaction &transaction, const DataTable &table) {
	bool changed = false;
	ForEachChange(transaction,
	              [&](UndoFlags kind, data_ptr_t content) { changed |= TableOf(kind, content).get() == &table; });
	return changed;
}

void ConnectionState::BeforeTransactionEnds(ClientContext &context, const PreparedStatementData &prepared) {
	if (prepared.statement_type != StatementType::TRANSACTION_STATEMENT || !context.transaction.HasActiveTransaction()) {
		return;
	}
	auto &transaction = MetaTransaction::Get(context);
	for (auto &database : transaction.OpenedTransactions()) {
		auto opened = transaction.TryGetTransaction(database);
		if (opened && opened->IsDuckTransaction()) {
			DropRowsOfDropped(opened->Cast<DuckTransaction>());
		}
	}
}

unique_ptr<TransactionManager> MakeTransactionManager(AttachedDatabase &database, shared_ptr<GuardInfo> guard) {
	return make_uniq<CheckingTransactionManager>(database, std::move(guard));
}

} // namespace roost

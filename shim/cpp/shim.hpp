// What the C++ files share: the objects behind roost.h, and the way from exceptions to failures and back.
#pragma once
#include "alteration.hpp"
#include "commit_check.hpp"
#include "roost.h"

#include "duckdb.hpp"
#include "duckdb/common/error_data.hpp"
#include "duckdb/main/client_context_state.hpp"
#include "duckdb/main/prepared_statement_data.hpp"
#include "duckdb/planner/planner_extension.hpp"

struct roost_failure {
	duckdb::ErrorData error;
};

namespace roost {

inline std::string ToString(roost_text text) {
	return std::string(text.data, text.size);
}

inline roost_text ToText(const std::string &text) {
	return roost_text {text.data(), text.size()};
}

// Runs `body`; an exception becomes a failure.
template <class BODY>
roost_failure *Guarded(BODY body) {
	try {
		body();
		return nullptr;
	} catch (const std::exception &exception) {
		return new roost_failure {duckdb::ErrorData(exception)};
	} catch (...) {
		return new roost_failure {duckdb::ErrorData(duckdb::ExceptionType::INTERNAL, "an exception of no known type")};
	}
}

// Receives the error of a Rust callback, and throws it as the DuckDB exception that it stands for.
struct CallbackSlot {
	uint8_t kind = 0;
	std::string message;
	std::string code;

	void *Pointer() {
		return this;
	}
	void Check(int32_t status) const {
		if (status != 0) {
			Throw();
		}
	}
	[[noreturn]] void Throw() const;
};

// Rust's PlanGuard, owned by DuckDB's configuration.
struct GuardInfo : public duckdb::PlannerExtensionInfo {
	explicit GuardInfo(const roost_guard &guard_p) : guard(guard_p) {
	}
	GuardInfo(const GuardInfo &) = delete;
	~GuardInfo() override {
		guard.drop(guard.self);
	}
	const roost_guard guard;
	//! Commit of the last transaction that wrote, or a later one.
	std::atomic<duckdb::transaction_t> last_write {0};
	AlteredTables altered;
};

// Whether the statement alters something, or makes an index: what it may do depends on what others do meanwhile, so it is
// judged whenever it is executed.
bool Defines(const duckdb::PreparedStatementData &prepared);

// Who a connection is, for as long as its ClientContext lives.
class ConnectionState : public duckdb::ClientContextState {
public:
	static constexpr const char *KEY = "roost";

	ConnectionState(uint64_t id_p, uint8_t trust_p, duckdb::shared_ptr<GuardInfo> guard_p)
	    : id(id_p), trust(trust_p), guard(std::move(guard_p)) {
	}
	~ConnectionState() override {
		EndRenaming(roost_renaming_rolled_back);
	}

	const uint64_t id;
	const uint8_t trust;
	//! Type of the client's statement that is being prepared or executed.
	std::atomic<uint8_t> statement {0};
	//! Whether the running statement is planned: bound, judged and optimised. Until then nothing may write; the binder
	//! evaluates arguments, and the optimiser folds what it takes for constant (a lambda that calls nextval).
	std::atomic<bool> planned {false};
	//! Whether a statement that was prepared is executed: one that is bound for that runs as soon as it is planned.
	std::atomic<bool> executes {false};
	//! Whether the statement that was bound last renames a table.
	std::atomic<bool> renames {false};
	//! The database in which the statement that was bound last reads all rows of a table, to make an index or change a type.
	std::atomic<duckdb::AttachedDatabase *> alone_in {nullptr};
	//! The table whose storage the statement that was bound last replaces.
	duckdb::shared_ptr<duckdb::DataTable> alters;

	// Without this DuckDB leaves OnFinalizePrepare out when a statement is bound again at its execution.
	bool CanRequestRebind() override {
		return true;
	}
	// A query begins before it is bound.
	void QueryBegin(duckdb::ClientContext &) override {
		planned = false;
		executes = false;
	}
	duckdb::RebindQueryInfo OnFinalizePrepare(duckdb::ClientContext &context, duckdb::PreparedStatementData &prepared,
	                                          duckdb::PreparedStatementMode mode) override {
		planned = true;
		if (mode == duckdb::PreparedStatementMode::PREPARE_AND_EXECUTE || executes) {
			BeforeTransactionEnds(context, prepared);
			CheckOlderTransactions();
			if (alters) {
				alteration = duckdb::make_uniq<Alteration>(context, guard->altered, std::move(alters));
			}
			BeginRenaming();
		}
		return duckdb::RebindQueryInfo::DO_NOT_REBIND;
	}
	// What is executed as it was prepared is planned; what is bound again will be.
	duckdb::RebindQueryInfo OnExecutePrepared(duckdb::ClientContext &context, duckdb::PreparedStatementCallbackInfo &info,
	                                          duckdb::RebindQueryInfo rebind) override {
		executes = true;
		BeforeTransactionEnds(context, info.prepared_statement);
		planned = rebind == duckdb::RebindQueryInfo::DO_NOT_REBIND && !Defines(info.prepared_statement);
		return planned ? duckdb::RebindQueryInfo::DO_NOT_REBIND : duckdb::RebindQueryInfo::ATTEMPT_TO_REBIND;
	}

	void QueryEnd(duckdb::ClientContext &, duckdb::optional_ptr<duckdb::ErrorData> error) override {
		if (alteration && error) {
			alteration->Failed();
		}
		alteration.reset();
		if (rename_runs.exchange(false) && error) {
			guard->guard.renaming(guard->guard.self, roost_renaming_failed);
		}
	}
	void TransactionCommit(duckdb::MetaTransaction &transaction, duckdb::ClientContext &) override {
		NoteWrite(transaction);
		EndRenaming(roost_renaming_committed);
	}
	void TransactionRollback(duckdb::MetaTransaction &, duckdb::ClientContext &,
	                         duckdb::optional_ptr<duckdb::ErrorData>) override {
		EndRenaming(roost_renaming_rolled_back);
	}

	static duckdb::shared_ptr<ConnectionState> Get(duckdb::ClientContext &context) {
		return context.registered_state->Get<ConnectionState>(KEY);
	}

private:
	const duckdb::shared_ptr<GuardInfo> guard;
	//! The transaction has renamed a table. DuckDB does that for everybody before it is committed: what others commit
	//! meanwhile is logged under a name that nobody may ever commit.
	std::atomic<bool> renaming {false};
	std::atomic<bool> rename_runs {false};
	duckdb::unique_ptr<Alteration> alteration;

	// commit_check.cpp
	void BeforeTransactionEnds(duckdb::ClientContext &context, const duckdb::PreparedStatementData &prepared);
	// older_transactions.cpp
	void NoteWrite(duckdb::MetaTransaction &transaction);
	void CheckOlderTransactions();

	void BeginRenaming() {
		if (!renames) {
			return;
		}
		rename_runs = true;
		if (!renaming.exchange(true)) {
			guard->guard.renaming(guard->guard.self, roost_renaming_begins);
		}
	}
	void EndRenaming(roost_renaming how) {
		if (renaming.exchange(false)) {
			guard->guard.renaming(guard->guard.self, how);
		}
	}
};

// The extension's callback: records the plan's facts, has them judged, throws what is refused.
void JudgePlan(duckdb::PlannerExtensionInput &input, duckdb::BoundStatement &statement);
// The same for a PRAGMA that is about to be replaced by other SQL.
void JudgePragma(duckdb::ClientContext &context, const roost_guard &guard, const std::string &name);

// Has functions that read SQL from their arguments refuse what DuckDB's parser would not read to its end.
void GuardSqlFunctions(duckdb::DuckDB &database);

duckdb::unique_ptr<duckdb::FileSystem> MakeFileSystem(const roost_vfs &vfs);

} // namespace roost

struct roost_database {
	duckdb::unique_ptr<duckdb::DuckDB> database;
	duckdb::shared_ptr<roost::GuardInfo> guard;
};

struct roost_connection {
	duckdb::unique_ptr<duckdb::Connection> connection;
	duckdb::shared_ptr<roost::GuardInfo> guard;
	duckdb::shared_ptr<roost::ConnectionState> state;
};

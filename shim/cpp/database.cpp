// Instances and connections.
#include "former_names.hpp"
#include "shim.hpp"

#include "duckdb/catalog/catalog_search_path.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/main/client_data.hpp"
#include "duckdb/main/database_manager.hpp"
#include "duckdb/main/valid_checker.hpp"

using namespace duckdb;
using roost::ConnectionState;
using roost::Guarded;
using roost::GuardInfo;
using roost::ToString;
using roost::ToText;

struct roost_interrupt {
	weak_ptr<ClientContext> context;
};

extern "C" roost_failure *roost_database_open(const roost_text *config, size_t pairs, const roost_vfs *vfs,
                                              const roost_guard *guard, roost_database **out) {
	return Guarded([&] {
		// Both are owned before anything can throw.
		auto file_system = roost::MakeFileSystem(*vfs);
		auto guard_info = make_shared_ptr<GuardInfo>(*guard);
		DBConfig options;
		for (size_t i = 0; i < pairs; i++) {
			options.SetOptionByName(ToString(config[2 * i]), Value(ToString(config[2 * i + 1])));
		}
		auto database = make_uniq<DuckDB>(nullptr, &options);
		database->instance->GetFileSystem().RegisterSubSystem(std::move(file_system));
		PlannerExtension extension;
		extension.post_bind_function = roost::JudgePlan;
		extension.planner_info = guard_info;
		PlannerExtension::Register(DBConfig::GetConfig(*database->instance), extension);
		roost::GuardSqlFunctions(*database);
		*out = new roost_database {std::move(database), std::move(guard_info)};
	});
}

extern "C" void roost_database_free(roost_database *database) {
	delete database;
}

extern "C" bool roost_database_invalidated(roost_database *database, void *into, roost_text_sink reason) {
	bool dead = false;
	auto report = [&](ValidChecker &checker) {
		if (checker.IsInvalidated()) {
			dead = true;
			reason(into, ToText(checker.InvalidatedMessage()));
		}
	};
	auto failure = Guarded([&] {
		auto &instance = *database->database->instance;
		report(ValidChecker::Get(instance));
		for (auto &attached : DatabaseManager::Get(instance).GetDatabases()) {
			report(ValidChecker::Get(*attached));
		}
	});
	if (failure) {
		reason(into, ToText(failure->error.RawMessage()));
		roost_failure_free(failure);
		return true;
	}
	return dead;
}

extern "C" void roost_library_version(void *into, roost_text_sink sink) {
	string version = DuckDB::LibraryVersion();
	sink(into, ToText(version));
}

// What DuckDB computes of a stream ahead of its reader. It counts vectors without the long texts in them: with its
// default of 976 KiB, rows of 10 KB took 600 MB.
static constexpr idx_t STREAMING_BUFFER_BYTES = 64 * 1024;

extern "C" roost_failure *roost_connect(roost_database *database, uint64_t id, uint8_t trust, roost_connection **out) {
	return Guarded([&] {
		auto connection = make_uniq<Connection>(*database->database);
		auto &context = *connection->context;
		auto state = context.registered_state->GetOrCreate<ConnectionState>(ConnectionState::KEY, id, trust, database->guard);
		// Progress is computed, and never printed.
		context.config.enable_progress_bar = true;
		context.config.print_progress_bar = false;
		context.config.wait_time = 0;
		context.config.streaming_buffer_size = STREAMING_BUFFER_BYTES;
		*out = new roost_connection {std::move(connection), database->guard, std::move(state)};
	});
}

extern "C" roost_failure *roost_connection_use(roost_connection *connection, roost_text database) {
	return Guarded([&] {
		auto &path = *ClientData::Get(*connection->connection->context).catalog_search_path;
		path.Set(CatalogSearchEntry(ToString(database), DEFAULT_SCHEMA), CatalogSetPathType::SET_DIRECTLY);
	});
}

extern "C" roost_failure *roost_connection_use_all(roost_connection *connection, roost_text database) {
	return Guarded([&] {
		auto &context = *connection->connection->context;
		context.RunFunctionInTransaction(
		    [&] { roost::PlaceIn(context, Catalog::GetCatalog(context, ToString(database)).Cast<DuckCatalog>()); });
	});
}

extern "C" void roost_connection_free(roost_connection *connection) {
	delete connection;
}

extern "C" bool roost_connection_in_transaction(roost_connection *connection) {
	auto &transaction = connection->connection->context->transaction;
	return transaction.HasActiveTransaction() && !transaction.IsAutoCommit();
}

extern "C" roost_interrupt *roost_connection_interrupt(roost_connection *connection) {
	return new roost_interrupt {connection->connection->context};
}

extern "C" void roost_interrupt_fire(roost_interrupt *handle) {
	if (auto context = handle->context.lock()) {
		context->Interrupt();
	}
}

extern "C" bool roost_interrupt_progress(roost_interrupt *handle, double *percentage, uint64_t *rows, uint64_t *total) {
	auto context = handle->context.lock();
	if (!context) {
		return false;
	}
	auto progress = context->GetQueryProgress();
	*percentage = progress.GetPercentage();
	*rows = progress.GetRowsProcesseed();
	*total = progress.GetTotalRowsToProcess();
	return *percentage >= 0;
}

extern "C" void roost_interrupt_free(roost_interrupt *handle) {
	delete handle;
}

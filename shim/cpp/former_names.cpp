// Former names of the attached database: those of the tenants that it was copied from. What was written under such a
// name (`"acme"."main"."t"` in a view) finds the database by it.
#include "commit_check.hpp"
#include "former_names.hpp"
#include "reveal.hpp"
#include "shim.hpp"

#include "duckdb/catalog/catalog_entry/schema_catalog_entry.hpp"
#include "duckdb/catalog/catalog_search_path.hpp"
#include "duckdb/catalog/duck_catalog.hpp"
#include "duckdb/main/client_data.hpp"
#include "duckdb/main/attached_database.hpp"
#include "duckdb/planner/extension_callback.hpp"
#include "duckdb/storage/storage_extension.hpp"
#include "duckdb/transaction/duck_transaction_manager.hpp"
#include "duckdb/transaction/meta_transaction.hpp"

using namespace duckdb;
using roost::Guarded;
using roost::ToString;

namespace roost {

struct UsedDatabases {
	using type = case_insensitive_map_t<reference<AttachedDatabase>> MetaTransaction::*;
	friend type Revealed(UsedDatabases);
};
template struct Reveal<UsedDatabases, &MetaTransaction::used_databases>;

} // namespace roost

namespace {

struct FormerNames : public StorageExtensionInfo {
	vector<string> names;
	//! Null before it is attached, and when attaching it has failed.
	optional_ptr<AttachedDatabase> database;
	bool place = true;
	shared_ptr<roost::GuardInfo> guard;
};

// The catalog of the attached database, as DuckDB would make it.
class NamedCatalog : public DuckCatalog {
public:
	NamedCatalog(AttachedDatabase &database, FormerNames &former_p) : DuckCatalog(database), former(former_p) {
		former.database = &database;
	}
	~NamedCatalog() override {
		former.database = nullptr;
	}
	// It is loaded and its WAL is replayed; nobody uses it yet.
	void FinalizeLoad(optional_ptr<ClientContext> context) override {
		DuckCatalog::FinalizeLoad(context);
		if (!former.names.empty()) {
			roost::RenameColumnQualifiers(*this, former.names);
		}
	}

private:
	FormerNames &former;
};

// Makes the names known to each transaction of a connection. DuckDB looks for a database among those that the
// transaction uses before it asks the instance, so nothing is listed twice. Replay needs the names as well (it binds
// constraints and indexes), on a connection of its own and before the instance has the database; it also needs to be
// placed in it, to find what these call.
class KnowsFormerNames : public ClientContextState {
public:
	explicit KnowsFormerNames(shared_ptr<FormerNames> former_p) : former(std::move(former_p)) {
	}
	void TransactionBegin(MetaTransaction &transaction, ClientContext &context) override {
		// DuckDB's own connections replay the WAL and bind indexes for a checkpoint.
		auto own = former->place && !roost::ConnectionState::Get(context);
		if (!former->database || (former->names.empty() && !own)) {
			return;
		}
		auto database = former->database->shared_from_this();
		auto &used = transaction.UseDatabase(database);
		for (auto &name : former->names) {
			(transaction.*Revealed(roost::UsedDatabases())).emplace(name, used);
		}
		if (own) {
			roost::PlaceIn(context, used.GetCatalog().Cast<DuckCatalog>());
		}
	}

private:
	shared_ptr<FormerNames> former;
};

class ConnectionsKnowFormerNames : public ExtensionCallback {
public:
	explicit ConnectionsKnowFormerNames(shared_ptr<FormerNames> former_p) : former(std::move(former_p)) {
	}
	void OnConnectionOpened(ClientContext &context) override {
		context.registered_state->Insert("roost former names", make_shared_ptr<KnowsFormerNames>(former));
	}

private:
	shared_ptr<FormerNames> former;
};

unique_ptr<Catalog> MakeCatalog(optional_ptr<StorageExtensionInfo> info, ClientContext &, AttachedDatabase &database,
                                const string &, AttachInfo &, AttachOptions &) {
	return make_uniq<NamedCatalog>(database, static_cast<FormerNames &>(*info));
}

unique_ptr<TransactionManager> MakeTransactionManager(optional_ptr<StorageExtensionInfo> info,
                                                      AttachedDatabase &database, Catalog &) {
	return roost::MakeTransactionManager(database, static_cast<FormerNames &>(*info).guard);
}

} // namespace

void roost::PlaceIn(ClientContext &context, DuckCatalog &catalog) {
	vector<CatalogSearchEntry> path {CatalogSearchEntry(catalog.GetName(), DEFAULT_SCHEMA)};
	catalog.ScanSchemas([&](SchemaCatalogEntry &schema) {
		if (!schema.internal && schema.name != DEFAULT_SCHEMA) {
			path.emplace_back(catalog.GetName(), schema.name);
		}
	});
	ClientData::Get(context).catalog_search_path->Set(std::move(path), CatalogSetPathType::SET_DIRECTLY);
}

extern "C" roost_failure *roost_database_former_names(roost_database *database, const roost_text *names, size_t count,
                                                      bool place) {
	return Guarded([&] {
		auto former = make_shared_ptr<FormerNames>();
		former->place = place;
		former->guard = database->guard;
		for (size_t i = 0; i < count; i++) {
			former->names.push_back(ToString(names[i]));
		}
		auto storage = make_shared_ptr<StorageExtension>();
		storage->attach = MakeCatalog;
		storage->create_transaction_manager = MakeTransactionManager;
		storage->storage_info = former;
		auto &config = DBConfig::GetConfig(*database->database->instance);
		StorageExtension::Register(config, "roost", std::move(storage));
		ExtensionCallback::Register(config, make_shared_ptr<ConnectionsKnowFormerNames>(std::move(former)));
	});
}

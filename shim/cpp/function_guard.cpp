// Guards around built-in functions that act before a plan can be judged.
#include "shim.hpp"

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp"
#include "duckdb/execution/expression_executor_state.hpp"

using namespace duckdb;
using roost::ConnectionState;
using roost::Guarded;
using roost::ToString;

namespace {

// Kept in a guarded table function: its own bind, and the message of the refusal.
struct GuardedBind : public TableFunctionInfo {
	GuardedBind(table_function_bind_t bind_p, string refusal_p) : bind(bind_p), refusal(std::move(refusal_p)) {
	}
	table_function_bind_t bind;
	string refusal;
};

unique_ptr<FunctionData> BindGuarded(ClientContext &context, TableFunctionBindInput &input, vector<LogicalType> &types,
                                     vector<string> &names) {
	auto &guarded = static_cast<GuardedBind &>(*input.info);
	auto state = ConnectionState::Get(context);
	if (!state || state->trust != 1) {
		throw PermissionException(guarded.refusal);
	}
	TableFunctionBindInput own(input.inputs, input.named_parameters, input.input_table_types, input.input_table_names,
	                           nullptr, input.binder, input.table_function, input.ref);
	return guarded.bind(context, own, types, names);
}

} // namespace

extern "C" roost_failure *roost_guard_table_function(roost_connection *connection, roost_text schema, roost_text name,
                                                     roost_text refusal) {
	return Guarded([&] {
		auto &context = *connection->connection->context;
		context.RunFunctionInTransaction([&] {
			auto &entry = Catalog::GetEntry<TableFunctionCatalogEntry>(context, SYSTEM_CATALOG, ToString(schema),
			                                                          ToString(name));
			for (auto &function : entry.functions.functions) {
				if (!function.bind || function.bind_replace || function.bind_operator || function.function_info) {
					throw NotImplementedException("%s cannot be guarded by its bind", function.name);
				}
				function.function_info = make_shared_ptr<GuardedBind>(function.bind, ToString(refusal));
				function.bind = BindGuarded;
			}
		});
	});
}

extern "C" roost_failure *roost_guard_scalar_function(roost_connection *connection, roost_text schema, roost_text name,
                                                      roost_text refusal) {
	return Guarded([&] {
		auto &context = *connection->connection->context;
		auto message = ToString(refusal);
		context.RunFunctionInTransaction([&] {
			auto &entry = Catalog::GetEntry<ScalarFunctionCatalogEntry>(context, SYSTEM_CATALOG, ToString(schema),
			                                                           ToString(name));
			for (auto &function : entry.functions.functions) {
				auto original = function.GetFunctionCallback();
				function.SetFunctionCallback([original, message](DataChunk &arguments, ExpressionState &state,
				                                                 Vector &result) {
					auto owner = ConnectionState::Get(state.GetContext());
					if (!owner || (owner->trust != 1 && !owner->planned)) {
						throw PermissionException(message);
					}
					original(arguments, state, result);
				});
			}
		});
	});
}

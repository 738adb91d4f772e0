// Guards around built-in functions that act before a plan can be judged.
#include "shim.hpp"

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/scalar_function_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp"
#include "duckdb/execution/expression_executor_state.hpp"

#include <algorithm>

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

// Kept in a table function whose arguments are SQL: how it replaces itself by what it has read.
struct ReadSql : public TableFunctionInfo {
	explicit ReadSql(table_function_bind_replace_t replace_p) : replace(replace_p) {
	}
	table_function_bind_replace_t replace;
};

bool HoldsNul(const Value &value) {
	if (value.IsNull()) {
		return false;
	}
	if (value.type().id() == LogicalTypeId::VARCHAR) {
		return StringValue::Get(value).find('\0') != string::npos;
	}
	if (value.type().id() == LogicalTypeId::LIST) {
		auto &children = ListValue::GetChildren(value);
		return std::any_of(children.begin(), children.end(), HoldsNul);
	}
	return false;
}

unique_ptr<TableRef> ReplaceWhole(ClientContext &context, TableFunctionBindInput &input) {
	if (std::any_of(input.inputs.begin(), input.inputs.end(), HoldsNul)) {
		throw ParserException("The SQL given to %s() holds a NUL byte", input.table_function.name);
	}
	auto &read = static_cast<ReadSql &>(*input.info);
	TableFunctionBindInput own(input.inputs, input.named_parameters, input.input_table_types, input.input_table_names,
	                           nullptr, input.binder, input.table_function, input.ref);
	return read.replace(context, own);
}

} // namespace

void roost::GuardSqlFunctions(DuckDB &database) {
	Connection connection(database);
	auto &context = *connection.context;
	context.RunFunctionInTransaction([&] {
		for (auto name : {"query", "query_table"}) {
			auto &entry = Catalog::GetEntry<TableFunctionCatalogEntry>(context, SYSTEM_CATALOG, DEFAULT_SCHEMA, name);
			for (auto &function : entry.functions.functions) {
				if (!function.bind_replace || function.function_info) {
					throw NotImplementedException("%s cannot be guarded by what replaces it", function.name);
				}
				function.function_info = make_shared_ptr<ReadSql>(function.bind_replace);
				function.bind_replace = ReplaceWhole;
			}
		}
	});
}

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

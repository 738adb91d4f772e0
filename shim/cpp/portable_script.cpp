// A script that creates objects, without the name of the database that they were in.
#include "definition.hpp"
#include "shim.hpp"

#include "duckdb/function/scalar_macro_function.hpp"
#include "duckdb/function/table_macro_function.hpp"
#include "duckdb/parser/constraints/check_constraint.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/type_expression.hpp"
#include "duckdb/parser/parsed_data/create_index_info.hpp"
#include "duckdb/parser/parsed_data/create_macro_info.hpp"
#include "duckdb/parser/parsed_data/create_table_info.hpp"
#include "duckdb/parser/parsed_data/create_view_info.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/qualified_name.hpp"
#include "duckdb/parser/statement/create_statement.hpp"
#include "duckdb/parser/statement/select_statement.hpp"

using namespace duckdb;
using roost::DatabaseNames;
using roost::Definition;

namespace {

// Takes the database's name off what a definition refers to, and says whether there was one.
class Unqualifier {
public:
	explicit Unqualifier(const DatabaseNames &names_p) : names(names_p) {
	}

	bool Apply(Definition &definition) {
		for (auto &table : definition.tables) {
			Drop(table.get().catalog_name, table.get().schema_name);
		}
		for (auto &function : definition.functions) {
			Drop(function.get().catalog, function.get().schema);
			DropInText(function.get());
		}
		for (auto &cast : definition.casts) {
			DropInType(cast.get().cast_type);
		}
		for (auto &column : definition.ColumnsOf(names)) {
			auto &parts = column.get().column_names;
			parts.erase(parts.begin());
			changed = true;
		}
		return changed;
	}

private:
	// `acme.t` is a table of the database: DuckDB refuses it where there is a schema of that name as well.
	void Drop(string &catalog, string &schema) {
		auto &first = catalog.empty() ? schema : catalog;
		if (names.Has(first)) {
			first.clear();
			changed = true;
		}
	}

	// Sequences are named in texts.
	void DropInText(FunctionExpression &call) {
		auto name = StringUtil::Lower(call.function_name);
		if ((name != "nextval" && name != "currval") || call.children.size() != 1 ||
		    call.children[0]->GetExpressionClass() != ExpressionClass::CONSTANT) {
			return;
		}
		auto &value = call.children[0]->Cast<ConstantExpression>().value;
		if (value.type().id() != LogicalTypeId::VARCHAR || value.IsNull()) {
			return;
		}
		auto sequence = QualifiedName::Parse(StringValue::Get(value));
		if (names.Has(sequence.catalog.empty() ? sequence.schema : sequence.catalog)) {
			Drop(sequence.catalog, sequence.schema);
			value = Value(sequence.ToString());
		}
	}

	void DropInType(LogicalType &type) {
		if (type.id() != LogicalTypeId::UNBOUND) {
			return;
		}
		auto expression = UnboundType::GetTypeExpression(type)->Copy();
		if (DropInType(expression)) {
			type = LogicalType::UNBOUND(std::move(expression));
		}
	}

	bool DropInType(unique_ptr<ParsedExpression> &expression) {
		if (expression->GetExpressionClass() != ExpressionClass::TYPE) {
			return false;
		}
		auto &type = expression->Cast<TypeExpression>();
		bool dropped = false;
		for (auto &child : type.GetChildren()) {
			dropped |= DropInType(child);
		}
		auto catalog = type.GetCatalog();
		auto schema = type.GetSchema();
		if (names.Has(catalog.empty() ? schema : catalog)) {
			Drop(catalog, schema);
			expression = make_uniq<TypeExpression>(catalog, schema, type.GetTypeName(), std::move(type.GetChildren()));
			dropped = true;
		}
		return dropped;
	}

	const DatabaseNames &names;
	bool changed = false;
};

void AddTable(Definition &definition, CreateTableInfo &info) {
	for (auto &column : info.columns.Logical()) {
		// The script's own copy of the column.
		if (column.Generated()) {
			definition.Add(const_cast<ParsedExpression &>(column.GeneratedExpression()));
		} else if (column.HasDefaultValue()) {
			definition.Add(const_cast<ParsedExpression &>(column.DefaultValue()));
		}
	}
	for (auto &constraint : info.constraints) {
		if (constraint->type == ConstraintType::CHECK) {
			definition.Add(*constraint->Cast<CheckConstraint>().expression);
		}
	}
}

void AddMacro(Definition &definition, CreateMacroInfo &info) {
	for (auto &macro : info.macros) {
		if (macro->type == MacroType::TABLE_MACRO) {
			definition.Add(*macro->Cast<TableMacroFunction>().query_node);
		} else {
			definition.Add(*macro->Cast<ScalarMacroFunction>().expression);
		}
	}
}

void AddCreated(Definition &definition, CreateInfo &info) {
	switch (info.type) {
	case CatalogType::TABLE_ENTRY:
		return AddTable(definition, info.Cast<CreateTableInfo>());
	case CatalogType::VIEW_ENTRY:
		return definition.Add(*info.Cast<CreateViewInfo>().query->node);
	case CatalogType::MACRO_ENTRY:
	case CatalogType::TABLE_MACRO_ENTRY:
		return AddMacro(definition, info.Cast<CreateMacroInfo>());
	case CatalogType::INDEX_ENTRY: {
		auto &index = info.Cast<CreateIndexInfo>();
		definition.table_names.insert(index.table);
		for (auto *expressions : {&index.expressions, &index.parsed_expressions}) {
			for (auto &expression : *expressions) {
				definition.Add(*expression);
			}
		}
		return;
	}
	default:
		return;
	}
}

// The statement without the names; empty where there is none in it.
string Unqualified(SQLStatement &statement, const DatabaseNames &names) {
	if (statement.type != StatementType::CREATE_STATEMENT) {
		return string();
	}
	Definition definition;
	try {
		AddCreated(definition, *statement.Cast<CreateStatement>().info);
	} catch (const NotImplementedException &) {
		return string();
	}
	return Unqualifier(names).Apply(definition) ? statement.ToString() : string();
}

} // namespace

extern "C" roost_failure *roost_portable_script(roost_text script, const roost_text *names, size_t count, void *into,
                                                roost_text_sink sink) {
	return roost::Guarded([&] {
		vector<string> databases;
		for (size_t i = 0; i < count; i++) {
			databases.push_back(roost::ToString(names[i]));
		}
		DatabaseNames of(std::move(databases));
		Parser parser;
		parser.ParseQuery(roost::ToString(script));
		string result;
		for (auto &statement : parser.statements) {
			auto sql = Unqualified(*statement, of);
			if (sql.empty()) {
				sql = statement->query;
			}
			auto end = sql.find_last_not_of("; \n");
			result += sql.substr(0, end == string::npos ? 0 : end + 1) + ";\n";
		}
		sink(into, roost::ToText(result));
	});
}

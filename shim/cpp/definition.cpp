// Walks definitions as they were parsed.
#include "definition.hpp"

#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/statement/select_statement.hpp"

using namespace duckdb;

namespace roost {

bool DatabaseNames::Has(const string &name) const {
	for (auto &other : names) {
		if (StringUtil::CIEquals(name, other)) {
			return true;
		}
	}
	return false;
}

void Definition::Add(QueryNode &node) {
	ParsedExpressionIterator::EnumerateQueryNodeChildren(
	    node, [&](unique_ptr<ParsedExpression> &child) { Add(*child); },
	    [&](TableRef &ref) {
		    if (ref.type == TableReferenceType::BASE_TABLE) {
			    auto &table = ref.Cast<BaseTableRef>();
			    tables.push_back(table);
			    // One with an alias is known by that alone.
			    if (table.alias.empty()) {
				    table_names.insert(table.table_name);
			    }
		    }
	    });
}

void Definition::AddOperator(ExpressionType type) {
	switch (type) {
	case ExpressionType::ARRAY_EXTRACT:
		// Of a struct it is the other.
		operators.push_back("struct_extract");
		operators.push_back("array_extract");
		break;
	case ExpressionType::ARRAY_SLICE:
		operators.push_back("array_slice");
		break;
	case ExpressionType::STRUCT_EXTRACT:
		operators.push_back("struct_extract");
		break;
	case ExpressionType::ARRAY_CONSTRUCTOR:
		operators.push_back("list_value");
		break;
	case ExpressionType::LAMBDA:
	case ExpressionType::ARROW:
		operators.push_back("->");
		break;
	default:
		break;
	}
}

vector<string> Definition::Calls() const {
	auto names = operators;
	for (auto &call : functions) {
		names.push_back(call.get().function_name);
	}
	return names;
}

void Definition::Add(ParsedExpression &expression) {
	switch (expression.GetExpressionClass()) {
	case ExpressionClass::COLUMN_REF:
		columns.push_back(expression.Cast<ColumnRefExpression>());
		if (columns.back().get().column_names.size() > 1) {
			operators.push_back("struct_extract");
		}
		break;
	case ExpressionClass::FUNCTION:
		functions.push_back(expression.Cast<FunctionExpression>());
		break;
	case ExpressionClass::CAST:
		casts.push_back(expression.Cast<CastExpression>());
		break;
	case ExpressionClass::OPERATOR:
	case ExpressionClass::LAMBDA:
		AddOperator(expression.GetExpressionType());
		break;
	case ExpressionClass::SUBQUERY:
		Add(*expression.Cast<SubqueryExpression>().subquery->node);
		break;
	default:
		break;
	}
	ParsedExpressionIterator::EnumerateChildren(expression, [&](ParsedExpression &child) { Add(child); });
}

vector<reference<ColumnRefExpression>> Definition::ColumnsOf(const DatabaseNames &names) const {
	vector<reference<ColumnRefExpression>> found;
	for (auto &column : columns) {
		auto &parts = column.get().column_names;
		if (parts.size() >= 3 && names.Has(parts[0]) && (table_names.count(parts[1]) || table_names.count(parts[2]))) {
			found.push_back(column);
		}
	}
	return found;
}

} // namespace roost

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

void Definition::Add(ParsedExpression &expression) {
	switch (expression.GetExpressionClass()) {
	case ExpressionClass::COLUMN_REF:
		columns.push_back(expression.Cast<ColumnRefExpression>());
		break;
	case ExpressionClass::FUNCTION:
		functions.push_back(expression.Cast<FunctionExpression>());
		break;
	case ExpressionClass::CAST:
		casts.push_back(expression.Cast<CastExpression>());
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

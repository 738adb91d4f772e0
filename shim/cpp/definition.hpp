// What a stored definition (a view's query, a macro's expression) refers to by name.
#pragma once
#include "duckdb.hpp"
#include "duckdb/parser/expression/cast_expression.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/query_node.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"

namespace roost {

// Names of one database.
class DatabaseNames {
public:
	explicit DatabaseNames(duckdb::vector<duckdb::string> names_p) : names(std::move(names_p)) {
	}
	bool Has(const duckdb::string &name) const;

private:
	duckdb::vector<duckdb::string> names;
};

// The references of one definition, which outlives them.
struct Definition {
	duckdb::vector<duckdb::reference<duckdb::BaseTableRef>> tables;
	duckdb::vector<duckdb::reference<duckdb::ColumnRefExpression>> columns;
	duckdb::vector<duckdb::reference<duckdb::FunctionExpression>> functions;
	duckdb::vector<duckdb::reference<duckdb::CastExpression>> casts;
	//! Names of the functions that operators are bound to: `s.a`, `l[1]`, `[1, 2]`, `j -> 'a'`.
	duckdb::vector<duckdb::string> operators;
	//! Names of the tables that a column may be qualified by.
	duckdb::case_insensitive_set_t table_names;

	//! DuckDB throws NotImplementedException at a query that it cannot walk.
	void Add(duckdb::QueryNode &node);
	void Add(duckdb::ParsedExpression &expression);
	void AddOperator(duckdb::ExpressionType type);
	//! Names of all functions that it calls.
	duckdb::vector<duckdb::string> Calls() const;
	//! The columns that have one of these names in front (`acme.main.t.i`).
	duckdb::vector<duckdb::reference<duckdb::ColumnRefExpression>> ColumnsOf(const DatabaseNames &names) const;
};

} // namespace roost

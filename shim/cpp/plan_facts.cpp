// Walks a bound plan and tells Rust what is in it. src/plan_records.rs reads these records: same tags, same fields.
#include "definition.hpp"
#include "shim.hpp"

#include "duckdb/catalog/catalog.hpp"
#include "duckdb/catalog/catalog_entry/index_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/schema_catalog_entry.hpp"
#include "duckdb/catalog/catalog_entry/table_catalog_entry.hpp"
#include "duckdb/function/lambda_functions.hpp"
#include "duckdb/main/prepared_statement_data.hpp"
#include "duckdb/parser/constraints/check_constraint.hpp"
#include "duckdb/parser/constraints/foreign_key_constraint.hpp"
#include "duckdb/parser/constraints/unique_constraint.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/parsed_data/alter_table_info.hpp"
#include "duckdb/parser/parsed_data/attach_info.hpp"
#include "duckdb/parser/parsed_data/copy_database_info.hpp"
#include "duckdb/parser/parsed_data/create_function_info.hpp"
#include "duckdb/parser/parsed_data/create_index_info.hpp"
#include "duckdb/parser/parsed_data/create_sequence_info.hpp"
#include "duckdb/parser/parsed_data/create_table_info.hpp"
#include "duckdb/parser/parsed_data/create_type_info.hpp"
#include "duckdb/parser/parsed_data/create_view_info.hpp"
#include "duckdb/parser/parsed_data/detach_info.hpp"
#include "duckdb/parser/parsed_data/drop_info.hpp"
#include "duckdb/parser/parsed_data/load_info.hpp"
#include "duckdb/parser/parsed_data/transaction_info.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/planner/binder.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/storage/data_table.hpp"
#include "duckdb/storage/table/data_table_info.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "duckdb/planner/operator/list.hpp"
#include "duckdb/planner/parsed_data/bound_create_table_info.hpp"

using namespace duckdb;
using roost::ToText;

namespace {

// Whose a connection is (`Trust` in plan.rs).
static constexpr uint8_t CLIENT_TRUST = 0;
static constexpr uint8_t UNKNOWN_TRUST = 2;

enum Tag : uint8_t {
	TABLE_FUNCTION = 1,
	SCALAR_FUNCTION = 2,
	AGGREGATE_FUNCTION = 3,
	WINDOW_FUNCTION = 4,
	PRAGMA_NAME = 5,
	COPY_FUNCTION = 6,
	PATH = 7,
	MODIFIED_DATABASE = 8,
	READ_DATABASE = 9,
	UNKNOWN = 10,
	MACRO_IN_INDEX = 11,
	KEY_BESIDE_GENERATED = 12,
	TYPE_IN_INDEX = 13,
	MACRO_UNDER_INDEX = 14,
	TEMPORARY_IN_CHECK = 15,
	RENAMED_BESIDE_FOREIGN_KEY = 16,
	REPLACED_BESIDE_FOREIGN_KEY = 17,
	INDEX_PART = 18,
	OVER_ALL_ROWS = 19,
	// Operators: field 0 is the operator's kind.
	PLAIN = 20,
	SCAN = 21,
	MODIFY = 22,
	CREATE = 23,
	DROP = 24,
	ALTER = 25,
	COPY_TO_FILE = 26,
	EXPORT = 27,
	COPY_DATABASE = 28,
	ATTACH = 29,
	DETACH = 30,
	LOAD = 31,
	UPDATE_EXTENSIONS = 32,
	TRANSACTION = 33,
	SETTING = 34,
	PRAGMA = 35,
	PREPARE = 36,
	EXECUTE = 37,
	EXPLAIN = 38,
	VACUUM = 39,
	EXTENSION = 40,
};

class Walker {
public:
	Walker(ClientContext &context_p, const roost_guard &guard_p, void *facts_p)
	    : context(context_p), guard(guard_p), facts(facts_p) {
	}

	void Record(Tag tag, const vector<string> &fields) {
		vector<roost_text> texts;
		for (auto &field : fields) {
			texts.push_back(ToText(field));
		}
		guard.record(facts, tag, texts.data(), texts.size());
	}

	void WalkPlan(LogicalOperator &op) {
		RecordOperator(op);
		LogicalOperatorVisitor::EnumerateExpressions(op, [&](unique_ptr<Expression> *child) { WalkOptional(*child); });
		for (auto &child : op.children) {
			WalkPlan(*child);
		}
	}

private:
	ClientContext &context;
	const roost_guard &guard;
	void *facts;

	// A database may have been written by another name than its own.
	string OwnName(const string &catalog) {
		auto entry = catalog.empty() ? nullptr : Catalog::GetCatalogEntry(context, catalog);
		return entry ? entry->GetName() : catalog;
	}

	SetScope OwnScope(const string &setting, SetScope scope);
	void RecordOperator(LogicalOperator &op);
	void RecordScan(LogicalGet &get, const string &kind);
	void RecordCreate(const CreateInfo &info, const string &kind, optional_ptr<SchemaCatalogEntry> schema);
	void RecordCreateTable(BoundCreateTableInfo &info, SchemaCatalogEntry &schema, const string &kind);
	void RecordAlter(AlterInfo &info, const string &kind);
	void RecordAlteredTable(TableCatalogEntry &table, AlterTableInfo &info);
	void RecordIndex(TableCatalogEntry &table, const string &name);
	void RecordOverAllRows(TableCatalogEntry &table);
	void RecordRename(const RenameTableInfo &info, optional_ptr<CatalogEntry> entry);
	void RecordAttach(const AttachInfo &info, const string &kind);
	void RecordTransaction(const TransactionInfo &info, const string &kind);
	void RecordLoad(const LoadInfo &info, const string &kind);
	void RecordExecute(const PreparedStatementData &prepared, const string &kind);
	void RecordModify(TableCatalogEntry &table, const string &kind) {
		Record(MODIFY, {kind, table.ParentCatalog().GetName(), table.ParentSchema().name, table.name});
	}
	void RecordFunction(Tag tag, const Function &function) {
		Record(tag, {function.catalog_name, function.schema_name, function.name});
	}

	void WalkOptional(const unique_ptr<Expression> &expression) {
		if (expression) {
			WalkExpression(*expression);
		}
	}
	void WalkAll(const vector<unique_ptr<Expression>> &expressions) {
		for (auto &expression : expressions) {
			WalkOptional(expression);
		}
	}
	void WalkExpression(Expression &expression);
	// For what DuckDB binds only when it executes it (defaults and USING of ALTER, generated columns).
	void WalkParsed(const ParsedExpression &expression);
	void WalkColumn(const ColumnDefinition &column);
	void RecordStored(CreateIndexInfo &index, Catalog &catalog);
	void RecordIndexPart(const Expression &expression);
	void RecordStored(CheckConstraint &check);
	void RecordStored(const string &macro, Catalog &catalog);
};

void Walker::WalkExpression(Expression &expression) {
	switch (expression.GetExpressionClass()) {
	case ExpressionClass::BOUND_FUNCTION: {
		auto &call = expression.Cast<BoundFunctionExpression>();
		RecordFunction(SCALAR_FUNCTION, call.function);
		// The body of a lambda is no child any more, it lies in the bind data.
		if (call.bind_info && call.function.HasBindLambdaCallback()) {
			WalkOptional(static_cast<ListLambdaBindData &>(*call.bind_info).lambda_expr);
		}
		break;
	}
	case ExpressionClass::BOUND_AGGREGATE:
		RecordFunction(AGGREGATE_FUNCTION, expression.Cast<BoundAggregateExpression>().function);
		break;
	case ExpressionClass::BOUND_WINDOW: {
		auto &window = expression.Cast<BoundWindowExpression>();
		if (window.aggregate) {
			RecordFunction(AGGREGATE_FUNCTION, *window.aggregate);
		} else {
			Record(WINDOW_FUNCTION, {ExpressionTypeToString(window.GetExpressionType())});
		}
		break;
	}
	case ExpressionClass::BOUND_SUBQUERY: {
		auto &subquery = expression.Cast<BoundSubqueryExpression>();
		if (subquery.subquery.plan) {
			WalkPlan(*subquery.subquery.plan);
		} else {
			Record(UNKNOWN, {"a subquery without a plan"});
		}
		break;
	}
	case ExpressionClass::BOUND_BETWEEN:
	case ExpressionClass::BOUND_CASE:
	case ExpressionClass::BOUND_CAST:
	case ExpressionClass::BOUND_COLUMN_REF:
	case ExpressionClass::BOUND_COMPARISON:
	case ExpressionClass::BOUND_CONJUNCTION:
	case ExpressionClass::BOUND_CONSTANT:
	case ExpressionClass::BOUND_DEFAULT:
	case ExpressionClass::BOUND_LAMBDA_REF:
	case ExpressionClass::BOUND_OPERATOR:
	case ExpressionClass::BOUND_PARAMETER:
	case ExpressionClass::BOUND_REF:
	case ExpressionClass::BOUND_UNNEST:
		break;
	default:
		Record(UNKNOWN, {"expression " + ExpressionTypeToString(expression.GetExpressionType())});
		return;
	}
	ExpressionIterator::EnumerateChildren(expression, [&](unique_ptr<Expression> &child) { WalkOptional(child); });
}

void Walker::WalkParsed(const ParsedExpression &expression) {
	if (expression.GetExpressionClass() == ExpressionClass::FUNCTION) {
		auto &call = expression.Cast<FunctionExpression>();
		Record(SCALAR_FUNCTION, {call.catalog, call.schema, call.function_name});
	} else if (expression.GetExpressionClass() == ExpressionClass::SUBQUERY) {
		Record(UNKNOWN, {"a subquery that is bound while it is executed"});
	}
	ParsedExpressionIterator::EnumerateChildren(expression,
	                                            [&](const ParsedExpression &child) { WalkParsed(child); });
}

// An entry that a function or type of this name may be.
static optional_ptr<CatalogEntry> Find(ClientContext &context, const string &catalog, CatalogType type, const string &name) {
	EntryLookupInfo wanted(type, name);
	return Catalog::GetEntry(context, catalog, DEFAULT_SCHEMA, wanted, OnEntryNotFound::RETURN_NULL);
}

// A table or a view: they share their names.
static optional_ptr<CatalogEntry> FindRelation(ClientContext &context, const string &catalog, const string &schema,
                                               const string &name) {
	EntryLookupInfo wanted(CatalogType::TABLE_ENTRY, name);
	return Catalog::GetEntry(context, catalog, schema, wanted, OnEntryNotFound::RETURN_NULL);
}

static optional_ptr<TableCatalogEntry> FindTable(ClientContext &context, const string &catalog, const string &schema,
                                                 const string &name) {
	auto entry = FindRelation(context, catalog, schema, name);
	return entry && entry->type == CatalogType::TABLE_ENTRY ? &entry->Cast<TableCatalogEntry>() : nullptr;
}

// Whether a foreign key joins a table with another one, or with itself where that counts. DuckDB forgets after an ALTER that tables depend on each other, so its own refusals of what would part them cannot be relied on.
static bool HasForeignKey(TableCatalogEntry &table, bool itself) {
	for (auto &constraint : table.GetConstraints()) {
		if (constraint->type == ConstraintType::FOREIGN_KEY) {
			auto type = constraint->Cast<ForeignKeyConstraint>().info.type;
			if (itself || type != ForeignKeyType::FK_TYPE_SELF_REFERENCE_TABLE) {
				return true;
			}
		}
	}
	return false;
}

// Makes an ALTER wait for its turn that does not see all indexes of its table: those of transactions that are newer or open.
// DuckDB would go on (rename the table or a column, drop one, make another key), and then cannot checkpoint, or open what it
// has written.
static void CheckIndexesSeen(ClientContext &context, TableCatalogEntry &table) {
	auto transaction = table.catalog.GetCatalogTransaction(context);
	auto &schema = table.ParentSchema();
	idx_t of_constraints = 0;
	for (auto &constraint : table.GetConstraints()) {
		if (constraint->type == ConstraintType::UNIQUE && !constraint->Cast<UniqueConstraint>().IsPrimaryKey()) {
			of_constraints++;
		}
	}
	for (auto &index : table.GetStorage().GetDataTableInfo()->GetIndexes().Indexes()) {
		auto kind = index.GetConstraintType();
		if (kind != IndexConstraintType::NONE && kind != IndexConstraintType::UNIQUE) {
			continue;
		}
		EntryLookupInfo wanted(CatalogType::INDEX_ENTRY, index.GetIndexName());
		if (schema.LookupEntry(transaction, wanted)) {
			continue;
		}
		// A constraint's own, whose names follow none of the table's changes.
		if (kind == IndexConstraintType::UNIQUE && of_constraints > 0) {
			of_constraints--;
			continue;
		}
		CatalogTransaction before(*transaction.db, MAX_TRANSACTION_ID, transaction.start_time);
		if (schema.LookupEntry(before, wanted)) {
			throw NotImplementedException("Index \"%s\" of table \"%s\" was dropped in this transaction, and DuckDB must have "
			                              "committed that before the table is altered: COMMIT first",
			                              index.GetIndexName(), table.name);
		}
		throw TransactionException("An index of table \"%s\" is of a transaction that this one does not see", table.name);
	}
}

// The table gets a new storage when the statement is executed.
static void NoteAltered(ClientContext &context, TableCatalogEntry &table) {
	auto state = roost::ConnectionState::Get(context);
	if (state && table.IsDuckTable()) {
		state->alters = table.GetStorage().shared_from_this();
	}
}

static bool HasMacro(ClientContext &context, Catalog &catalog, const string &name) {
	bool found = false;
	for (auto &schema : catalog.GetSchemas(context)) {
		schema.get().Scan(context, CatalogType::MACRO_ENTRY, [&](CatalogEntry &entry) {
			found |= entry.type == CatalogType::MACRO_ENTRY && !entry.internal && StringUtil::CIEquals(entry.name, name);
		});
	}
	return found;
}

static bool IsUserType(const LogicalType &type) {
	if (!type.IsUnbound()) {
		return type.HasAlias();
	}
	try {
		auto bound = UnboundType::TryDefaultBind(type);
		return bound.IsUnbound() || bound.id() == LogicalTypeId::INVALID || bound.HasAlias();
	} catch (const std::exception &) {
		return true;
	}
}

// A part of what an index is over, which is bound and computed again by whoever writes: its class and name, and the types
// of what it gives and takes.
void Walker::RecordIndexPart(const Expression &expression) {
	vector<string> fields {EnumUtil::ToString(expression.GetExpressionClass()),
	                       expression.GetExpressionClass() == ExpressionClass::BOUND_FUNCTION
	                           ? expression.Cast<BoundFunctionExpression>().function.name
	                           : ExpressionTypeToString(expression.GetExpressionType()),
	                       expression.return_type.ToString()};
	ExpressionIterator::EnumerateChildren(expression, [&](const Expression &child) {
		fields.push_back(child.return_type.ToString());
		RecordIndexPart(child);
	});
	Record(INDEX_PART, fields);
}

// An index keeps its expressions as they were written, and binds them wherever it is loaded: what they call must be the
// same everywhere. `x.f()` and `f(x)` are told apart only by binding, so names alone decide.
void Walker::RecordStored(CreateIndexInfo &index, Catalog &catalog) {
	roost::Definition definition;
	for (auto &expression : index.parsed_expressions) {
		definition.Add(*expression);
	}
	for (auto &call : definition.functions) {
		auto &name = call.get().function_name;
		if (!Find(context, SYSTEM_CATALOG, CatalogType::SCALAR_FUNCTION_ENTRY, name) || HasMacro(context, catalog, name)) {
			Record(MACRO_IN_INDEX, {call.get().catalog, call.get().schema, name});
		}
	}
	for (auto &name : definition.operators) {
		if (HasMacro(context, catalog, name)) {
			Record(MACRO_IN_INDEX, {"", "", name});
		}
	}
	for (auto &cast : definition.casts) {
		if (IsUserType(cast.get().cast_type)) {
			Record(TYPE_IN_INDEX, {"", "", cast.get().cast_type.ToString()});
		}
	}
}

// A constraint outlives the session whose temporary macro or type it was written with.
void Walker::RecordStored(CheckConstraint &check) {
	roost::Definition definition;
	definition.Add(*check.expression);
	for (auto &call : definition.functions) {
		auto &name = call.get().function_name;
		auto entry = Find(context, TEMP_CATALOG, CatalogType::SCALAR_FUNCTION_ENTRY, name);
		if (entry && entry->ParentCatalog().IsTemporaryCatalog()) {
			Record(TEMPORARY_IN_CHECK, {TEMP_CATALOG, DEFAULT_SCHEMA, name});
		}
	}
	for (auto &cast : definition.casts) {
		auto name = cast.get().cast_type.ToString();
		auto entry = IsUserType(cast.get().cast_type) ? Find(context, TEMP_CATALOG, CatalogType::TYPE_ENTRY, name) : nullptr;
		if (entry && entry->ParentCatalog().IsTemporaryCatalog()) {
			Record(TEMPORARY_IN_CHECK, {TEMP_CATALOG, DEFAULT_SCHEMA, name});
		}
	}
}

// A new macro is called by the indexes that call something of its name.
void Walker::RecordStored(const string &macro, Catalog &catalog) {
	for (auto &schema : catalog.GetSchemas(context)) {
		schema.get().Scan(context, CatalogType::INDEX_ENTRY, [&](CatalogEntry &entry) {
			roost::Definition definition;
			for (auto &expression : entry.Cast<IndexCatalogEntry>().parsed_expressions) {
				definition.Add(*expression);
			}
			for (auto &name : definition.Calls()) {
				if (StringUtil::CIEquals(name, macro)) {
					Record(MACRO_UNDER_INDEX, {catalog.GetName(), schema.get().name, entry.name});
				}
			}
		});
	}
}

void Walker::WalkColumn(const ColumnDefinition &column) {
	if (column.Generated()) {
		WalkParsed(column.GeneratedExpression());
	} else if (column.HasDefaultValue()) {
		WalkParsed(column.DefaultValue());
	}
}

void Walker::RecordScan(LogicalGet &get, const string &kind) {
	vector<string> fields {kind, get.function.catalog_name, get.function.schema_name, get.function.name};
	if (auto table = get.GetTable()) {
		fields.insert(fields.end(), {table->ParentCatalog().GetName(), table->ParentSchema().name, table->name});
	}
	Record(SCAN, fields);
	RecordFunction(TABLE_FUNCTION, get.function);
}

static string NameOf(const CreateInfo &info) {
	switch (info.type) {
	case CatalogType::TABLE_ENTRY:
		return info.Cast<CreateTableInfo>().table;
	case CatalogType::VIEW_ENTRY:
		return info.Cast<CreateViewInfo>().view_name;
	case CatalogType::SEQUENCE_ENTRY:
		return info.Cast<CreateSequenceInfo>().name;
	case CatalogType::TYPE_ENTRY:
		return info.Cast<CreateTypeInfo>().name;
	case CatalogType::INDEX_ENTRY:
		return info.Cast<CreateIndexInfo>().index_name;
	case CatalogType::SCHEMA_ENTRY:
		return info.schema;
	case CatalogType::MACRO_ENTRY:
	case CatalogType::TABLE_MACRO_ENTRY:
	case CatalogType::SCALAR_FUNCTION_ENTRY:
	case CatalogType::TABLE_FUNCTION_ENTRY:
		return static_cast<const CreateFunctionInfo &>(info).name;
	default:
		return string();
	}
}

void Walker::RecordCreate(const CreateInfo &info, const string &kind, optional_ptr<SchemaCatalogEntry> schema) {
	auto catalog = schema ? schema->ParentCatalog().GetName() : OwnName(info.catalog);
	auto schema_name = schema ? schema->name : info.schema;
	Record(CREATE, {kind, CatalogTypeToString(info.type), catalog, schema_name, NameOf(info), info.temporary ? "1" : "0"});
}

void Walker::RecordCreateTable(BoundCreateTableInfo &info, SchemaCatalogEntry &schema, const string &kind) {
	RecordCreate(*info.base, kind, &schema);
	auto &base = info.Base();
	if (base.on_conflict == OnCreateConflict::REPLACE_ON_CONFLICT) {
		auto catalog = schema.ParentCatalog().GetName();
		auto replaced = FindTable(context, catalog, schema.name, base.table);
		if (replaced && HasForeignKey(*replaced, false)) {
			Record(REPLACED_BESIDE_FOREIGN_KEY, {catalog, schema.name, base.table});
		}
	}
	for (auto &column : base.columns.Logical()) {
		WalkColumn(column);
	}
	for (auto &constraint : base.constraints) {
		if (constraint->type == ConstraintType::CHECK && !base.temporary) {
			RecordStored(constraint->Cast<CheckConstraint>());
		}
	}
	if (info.query) {
		WalkPlan(*info.query);
	}
}

void Walker::RecordRename(const RenameTableInfo &info, optional_ptr<CatalogEntry> entry) {
	if (entry && entry->type != CatalogType::TABLE_ENTRY) {
		// ALTER TABLE of a view fails.
		return;
	}
	if (entry) {
		if (HasForeignKey(entry->Cast<TableCatalogEntry>(), true)) {
			Record(RENAMED_BESIDE_FOREIGN_KEY, {OwnName(info.catalog), info.schema, info.name});
		}
		// DuckDB finds that a name is taken after it gave it to the table's log, where it stays.
		auto &name = info.new_table_name;
		auto taken = FindRelation(context, info.catalog, info.schema, name);
		if (taken && !StringUtil::CIEquals(name, info.name)) {
			throw CatalogException::EntryAlreadyExists(taken->type, name);
		}
	}
	auto state = roost::ConnectionState::Get(context);
	// A temporary table has no log.
	if (state && !(entry && entry->temporary)) {
		state->renames = true;
	}
}

// An index over rows that others see.
void Walker::RecordIndex(TableCatalogEntry &table, const string &name) {
	EntryLookupInfo wanted(CatalogType::INDEX_ENTRY, name);
	if (table.ParentSchema().LookupEntry(table.catalog.GetCatalogTransaction(context), wanted)) {
		// It is there already, and nothing is made.
		return;
	}
	for (auto &index : table.GetStorage().GetDataTableInfo()->GetIndexes().Indexes()) {
		// A rollback takes indexes away by their names, and would take the wrong one.
		if (StringUtil::CIEquals(index.GetIndexName(), name)) {
			throw TransactionException("An index \"%s\" is being dropped or made: end that transaction first", name);
		}
	}
	RecordOverAllRows(table);
}

// A statement that reads all rows of a table, as the oldest transaction sees them. A table that the transaction has made
// itself has none, before it is committed.
void Walker::RecordOverAllRows(TableCatalogEntry &table) {
	bool own = table.timestamp >= TRANSACTION_ID_START && table.GetStorage().GetTotalRows() == 0;
	if (table.temporary || own) {
		return;
	}
	if (auto state = roost::ConnectionState::Get(context)) {
		state->alone_in = &table.ParentCatalog().GetAttached();
	}
	Record(OVER_ALL_ROWS, {table.ParentCatalog().GetName(), table.ParentSchema().name, table.name});
}

void Walker::RecordAlteredTable(TableCatalogEntry &table, AlterTableInfo &info) {
	if (!table.temporary) {
		CheckIndexesSeen(context, table);
	}
	if (auto path = roost::FieldPath(info)) {
		// DuckDB looks for the column once more when it commits, and then by these very letters. One that is not there it takes
		// for an error of its own, after which nobody may use the database.
		auto &column = path->front();
		if (!table.ColumnExists(column)) {
			throw BinderException("Table \"%s\" does not have a column with name \"%s\"", table.name, column);
		}
		column = table.GetColumn(column).Name();
	}
	if (roost::ReplacesStorage(table, info)) {
		NoteAltered(context, table);
	}
	if (roost::RewritesRows(info)) {
		RecordOverAllRows(table);
	}
}

void Walker::RecordAlter(AlterInfo &info, const string &kind) {
	Record(ALTER, {kind, CatalogTypeToString(info.GetCatalogType()), OwnName(info.catalog), info.schema, info.name});
	if (info.type != AlterType::ALTER_TABLE) {
		return;
	}
	auto altered = FindRelation(context, info.catalog, info.schema, info.name);
	auto &table = static_cast<AlterTableInfo &>(info);
	if (altered && altered->type == CatalogType::TABLE_ENTRY) {
		RecordAlteredTable(altered->Cast<TableCatalogEntry>(), table);
	}
	switch (table.alter_table_type) {
	case AlterTableType::RENAME_TABLE:
		RecordRename(static_cast<RenameTableInfo &>(table), altered);
		break;
	case AlterTableType::ADD_COLUMN:
		WalkColumn(static_cast<AddColumnInfo &>(table).new_column);
		break;
	case AlterTableType::ALTER_COLUMN_TYPE:
		if (auto &expression = static_cast<ChangeColumnTypeInfo &>(table).expression) {
			WalkParsed(*expression);
		}
		break;
	case AlterTableType::SET_DEFAULT:
		if (auto &expression = static_cast<SetDefaultInfo &>(table).expression) {
			WalkParsed(*expression);
		}
		break;
	default:
		break;
	}
}

void Walker::RecordAttach(const AttachInfo &info, const string &kind) {
	Record(ATTACH, {kind, info.name, info.path});
	Record(PATH, {info.path});
}

void Walker::RecordLoad(const LoadInfo &info, const string &kind) {
	const char *action = info.load_type == LoadType::LOAD      ? "LOAD"
	                     : info.load_type == LoadType::INSTALL ? "INSTALL"
	                                                           : "FORCE INSTALL";
	Record(LOAD, {kind, action, info.filename});
	Record(PATH, {info.filename});
}

void Walker::RecordTransaction(const TransactionInfo &info, const string &kind) {
	switch (info.type) {
	case TransactionType::BEGIN_TRANSACTION:
		Record(TRANSACTION,
		       {kind, info.modifier == TransactionModifierType::TRANSACTION_READ_ONLY ? "begin read only" : "begin"});
		break;
	case TransactionType::COMMIT:
		Record(TRANSACTION, {kind, "commit"});
		break;
	case TransactionType::ROLLBACK:
		Record(TRANSACTION, {kind, "rollback"});
		break;
	default:
		Record(TRANSACTION, {kind, "?"});
	}
}

void Walker::RecordExecute(const PreparedStatementData &prepared, const string &kind) {
	vector<string> fields {kind, std::to_string(static_cast<int>(prepared.statement_type))};
	for (auto &entry : prepared.properties.modified_databases) {
		fields.push_back(entry.first);
	}
	Record(EXECUTE, fields);
}

// What a client changes it changes for its own session: DuckDB sets some settings that a session may have for all, unless it
// is told otherwise.
SetScope Walker::OwnScope(const string &setting, SetScope scope) {
	auto state = roost::ConnectionState::Get(context);
	if (!state || state->trust != CLIENT_TRUST || scope != SetScope::AUTOMATIC) {
		return scope;
	}
	auto option = DBConfig::GetOptionByName(setting);
	return option && option->scope == SettingScopeTarget::GLOBAL_DEFAULT ? SetScope::SESSION : scope;
}

void Walker::RecordOperator(LogicalOperator &op) {
	auto kind = LogicalOperatorToString(op.type);
	switch (op.type) {
	case LogicalOperatorType::LOGICAL_GET:
		return RecordScan(op.Cast<LogicalGet>(), kind);
	case LogicalOperatorType::LOGICAL_INSERT: {
		auto &insert = op.Cast<LogicalInsert>();
		RecordModify(insert.table, kind);
		WalkAll(insert.bound_defaults);
		for (auto &row : insert.insert_values) {
			WalkAll(row);
		}
		return;
	}
	case LogicalOperatorType::LOGICAL_UPDATE: {
		auto &update = op.Cast<LogicalUpdate>();
		RecordModify(update.table, kind);
		return WalkAll(update.bound_defaults);
	}
	case LogicalOperatorType::LOGICAL_DELETE:
		return RecordModify(op.Cast<LogicalDelete>().table, kind);
	case LogicalOperatorType::LOGICAL_MERGE_INTO: {
		auto &merge = op.Cast<LogicalMergeInto>();
		RecordModify(merge.table, kind);
		return WalkAll(merge.bound_defaults);
	}
	case LogicalOperatorType::LOGICAL_CREATE_TABLE: {
		auto &create = op.Cast<LogicalCreateTable>();
		return RecordCreateTable(*create.info, create.schema, kind);
	}
	case LogicalOperatorType::LOGICAL_CREATE_INDEX: {
		auto &create = op.Cast<LogicalCreateIndex>();
		RecordCreate(*create.info, kind, &create.table.ParentSchema());
		RecordIndex(create.table, create.info->Cast<CreateIndexInfo>().index_name);
		// ADD PRIMARY KEY is an index, too.
		if (create.alter_table_info) {
			RecordAlteredTable(create.table, *create.alter_table_info);
		}
		if (create.alter_table_info && create.table.HasGeneratedColumns()) {
			auto &table = create.table;
			Record(KEY_BESIDE_GENERATED, {table.ParentCatalog().GetName(), table.ParentSchema().name, table.name});
		}
		RecordStored(*create.info, create.table.ParentCatalog());
		for (auto &expression : create.unbound_expressions) {
			// Anything may be in a column.
			if (expression->GetExpressionClass() != ExpressionClass::BOUND_COLUMN_REF) {
				RecordIndexPart(*expression);
			}
		}
		return WalkAll(create.unbound_expressions);
	}
	case LogicalOperatorType::LOGICAL_CREATE_SCHEMA:
	case LogicalOperatorType::LOGICAL_CREATE_SEQUENCE:
	case LogicalOperatorType::LOGICAL_CREATE_VIEW:
	case LogicalOperatorType::LOGICAL_CREATE_MACRO:
	case LogicalOperatorType::LOGICAL_CREATE_TYPE: {
		auto &create = static_cast<LogicalCreate &>(op);
		if (create.info->type == CatalogType::MACRO_ENTRY && create.schema && !create.info->temporary) {
			RecordStored(NameOf(*create.info), create.schema->ParentCatalog());
		}
		return RecordCreate(*create.info, kind, create.schema);
	}
	case LogicalOperatorType::LOGICAL_CREATE_SECRET: {
		auto &input = op.Cast<LogicalCreateSecret>().secret_input;
		return Record(CREATE, {kind, CatalogTypeToString(CatalogType::SECRET_ENTRY), "", "", input.name, "0"});
	}
	case LogicalOperatorType::LOGICAL_DROP: {
		auto &info = static_cast<LogicalSimple &>(op).info->Cast<DropInfo>();
		return Record(DROP, {kind, CatalogTypeToString(info.type), OwnName(info.catalog), info.schema, info.name});
	}
	case LogicalOperatorType::LOGICAL_ALTER:
		return RecordAlter(static_cast<LogicalSimple &>(op).info->Cast<AlterInfo>(), kind);
	case LogicalOperatorType::LOGICAL_TRANSACTION:
		return RecordTransaction(static_cast<LogicalSimple &>(op).info->Cast<TransactionInfo>(), kind);
	case LogicalOperatorType::LOGICAL_ATTACH:
		return RecordAttach(static_cast<LogicalSimple &>(op).info->Cast<AttachInfo>(), kind);
	case LogicalOperatorType::LOGICAL_DETACH:
		return Record(DETACH, {kind, static_cast<LogicalSimple &>(op).info->Cast<DetachInfo>().name});
	case LogicalOperatorType::LOGICAL_LOAD:
		return RecordLoad(static_cast<LogicalSimple &>(op).info->Cast<LoadInfo>(), kind);
	case LogicalOperatorType::LOGICAL_UPDATE_EXTENSIONS:
		return Record(UPDATE_EXTENSIONS, {kind});
	case LogicalOperatorType::LOGICAL_SET: {
		auto &set = op.Cast<LogicalSet>();
		set.scope = OwnScope(set.name, set.scope);
		// With a child the value is computed by it.
		auto value = set.children.empty() ? set.value.ToString() : string();
		return Record(SETTING, {kind, set.name, "set", std::to_string(static_cast<int>(set.scope)), value});
	}
	case LogicalOperatorType::LOGICAL_RESET: {
		auto &reset = op.Cast<LogicalReset>();
		reset.scope = OwnScope(reset.name, reset.scope);
		return Record(SETTING, {kind, reset.name, "reset", std::to_string(static_cast<int>(reset.scope)), ""});
	}
	case LogicalOperatorType::LOGICAL_PRAGMA: {
		auto &name = op.Cast<LogicalPragma>().info->function.name;
		Record(PRAGMA_NAME, {name});
		return Record(PRAGMA, {kind, name});
	}
	case LogicalOperatorType::LOGICAL_COPY_TO_FILE: {
		auto &copy = op.Cast<LogicalCopyToFile>();
		Record(COPY_FUNCTION, {copy.function.name});
		Record(PATH, {copy.file_path});
		return Record(COPY_TO_FILE, {kind, copy.function.name, copy.file_path});
	}
	case LogicalOperatorType::LOGICAL_EXPORT: {
		auto &exported = op.Cast<LogicalExport>();
		Record(COPY_FUNCTION, {exported.function.name});
		Record(PATH, {exported.copy_info->file_path});
		return Record(EXPORT, {kind, exported.function.name, exported.copy_info->file_path});
	}
	case LogicalOperatorType::LOGICAL_COPY_DATABASE:
		return Record(COPY_DATABASE, {kind, "", op.Cast<LogicalCopyDatabase>().info->target_database});
	case LogicalOperatorType::LOGICAL_PREPARE:
		return Record(PREPARE, {kind, op.Cast<LogicalPrepare>().name});
	case LogicalOperatorType::LOGICAL_EXECUTE:
		return RecordExecute(*op.Cast<LogicalExecute>().prepared, kind);
	case LogicalOperatorType::LOGICAL_EXPLAIN: {
		auto &explain = op.Cast<LogicalExplain>();
		return Record(EXPLAIN, {kind, explain.explain_type == ExplainType::EXPLAIN_ANALYZE ? "1" : "0"});
	}
	case LogicalOperatorType::LOGICAL_VACUUM: {
		auto &options = op.Cast<LogicalVacuum>().GetInfo().options;
		return Record(VACUUM, {kind, options.vacuum ? "1" : "0", options.analyze ? "1" : "0"});
	}
	case LogicalOperatorType::LOGICAL_EXTENSION_OPERATOR:
		return Record(EXTENSION, {kind, static_cast<LogicalExtensionOperator &>(op).GetExtensionName()});
	default:
		return Record(PLAIN, {kind});
	}
}

// One verdict: Rust collects the facts, and frees them when it judges, or when the walk throws.
class Case {
public:
	Case(ClientContext &context, const roost_guard &guard_p, uint8_t stage)
	    : guard(guard_p), state(roost::ConnectionState::Get(context)),
	      facts(guard.begin(guard.self, stage, state ? state->statement.load() : 0)) {
	}
	~Case() {
		if (facts) {
			guard.discard(facts);
		}
	}
	void *Facts() {
		return facts;
	}
	void Judge() {
		roost::CallbackSlot slot;
		auto given = facts;
		facts = nullptr;
		auto status = guard.judge(guard.self, given, slot.Pointer(), state ? state->id : 0,
		                          state ? state->trust : UNKNOWN_TRUST);
		slot.Check(status);
	}

private:
	const roost_guard &guard;
	shared_ptr<roost::ConnectionState> state;
	void *facts;
};

} // namespace

namespace roost {

void JudgePlan(PlannerExtensionInput &input, BoundStatement &statement) {
	auto &guard = static_cast<GuardInfo &>(*input.info).guard;
	Case judged(input.context, guard, 1);
	if (auto state = roost::ConnectionState::Get(input.context)) {
		state->renames = false;
		state->alone_in = nullptr;
		state->alters.reset();
	}
	Walker walker(input.context, guard, judged.Facts());
	if (statement.plan) {
		walker.WalkPlan(*statement.plan);
	} else {
		walker.Record(UNKNOWN, {"a statement without a plan"});
	}
	auto &properties = input.binder.GetStatementProperties();
	for (auto &entry : properties.modified_databases) {
		walker.Record(MODIFIED_DATABASE, {entry.first});
	}
	for (auto &entry : properties.read_databases) {
		walker.Record(READ_DATABASE, {entry.first});
	}
	judged.Judge();
}

void JudgePragma(ClientContext &context, const roost_guard &guard, const string &name) {
	Case judged(context, guard, 0);
	Walker walker(context, guard, judged.Facts());
	walker.Record(PRAGMA_NAME, {name});
	judged.Judge();
}

} // namespace roost

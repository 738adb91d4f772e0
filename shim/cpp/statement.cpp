// Statements: parse, prepare, bind, execute, fetch as Arrow.
#include "shim.hpp"

#include "duckdb/common/arrow/arrow_converter.hpp"
#include "duckdb/common/arrow/arrow_type_extension.hpp"
#include "duckdb/common/arrow/arrow_wrapper.hpp"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/common/types/interval.hpp"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/execution/executor.hpp"
#include "duckdb/main/prepared_statement_data.hpp"
#include "duckdb/main/valid_checker.hpp"
#include "duckdb/parallel/event.hpp"
#include "duckdb/parser/parsed_data/pragma_info.hpp"
#include "duckdb/parser/parsed_data/transaction_info.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/pragma_statement.hpp"
#include "duckdb/parser/statement/transaction_statement.hpp"
#include "duckdb/planner/expression/bound_parameter_data.hpp"

using namespace duckdb;
using roost::ConnectionState;
using roost::Guarded;
using roost::ToString;
using roost::ToText;

struct roost_statement {
	unique_ptr<SQLStatement> statement;
};

struct roost_prepared {
	unique_ptr<PreparedStatement> prepared;
	case_insensitive_map_t<BoundParameterData> values;
	shared_ptr<ConnectionState> state;
};

struct roost_result {
	unique_ptr<QueryResult> result;
	ClientProperties arrow;
	unordered_map<idx_t, const shared_ptr<ArrowTypeExtensionData>> extensions;
	shared_ptr<ClientContext> context;
	//! The result's types, with VARCHAR for each that Arrow cannot hold.
	vector<LogicalType> types;
	//! The statement's text as DuckDB draws the place of an error into it.
	string text;
	//! What ended the statement's tasks, once they have ended; see CauseKeeper.
	shared_ptr<ErrorData> cause;
};

typedef void (*pair_sink)(void *into, roost_text first, roost_text second);

static void EmitColumns(const vector<string> &names, const vector<LogicalType> &types, void *into, pair_sink sink) {
	for (idx_t i = 0; i < names.size() && i < types.size(); i++) {
		auto type = types[i].ToString();
		sink(into, ToText(names[i]), ToText(type));
	}
}

// What DuckDB replaces a statement by. Some replacements are wrapped in a transaction, unless the statements before
// it (`in_transaction`, kept up to date here) have opened one by then.
static vector<unique_ptr<SQLStatement>> Expand(ClientContext &context, unique_ptr<SQLStatement> statement,
                                               bool &in_transaction) {
	vector<unique_ptr<SQLStatement>> expanded;
	const bool was_in_transaction = in_transaction;
	if (was_in_transaction) {
		expanded.push_back(make_uniq<TransactionStatement>(make_uniq<TransactionInfo>(TransactionType::BEGIN_TRANSACTION)));
	}
	if (statement->type == StatementType::TRANSACTION_STATEMENT) {
		in_transaction = statement->Cast<TransactionStatement>().info->type == TransactionType::BEGIN_TRANSACTION;
	}
	auto &original = *statement;
	expanded.push_back(std::move(statement));
	context.PreprocessStatements(expanded);
	if (was_in_transaction) {
		expanded.erase(expanded.begin());
	}
	// Without a text DuckDB leaves the position of an error as data; with one it draws the place into the message,
	// and wrongly beyond the first statement. What it made up by itself keeps its own text and has no position.
	if (expanded.size() == 1 && expanded[0].get() == &original) {
		original.query.clear();
	}
	return expanded;
}

extern "C" roost_failure *roost_extract(roost_connection *connection, roost_text sql, void *into,
                                        void (*found)(void *into, roost_statement *statement, uint8_t type,
                                                      uint64_t source, uint64_t start, uint64_t length)) {
	string text;
	return Guarded([&] {
		text = ToString(sql);
		auto &context = *connection->connection->context;
		Parser parser(context.GetParserOptions());
		parser.ParseQuery(text);
		connection->state->planned = false;
		idx_t source = 0;
		bool in_transaction = false;
		for (auto &parsed : parser.statements) {
			if (parsed->type == StatementType::PRAGMA_STATEMENT) {
				connection->state->statement = static_cast<uint8_t>(StatementType::PRAGMA_STATEMENT);
				roost::JudgePragma(context, connection->guard->guard, parsed->Cast<PragmaStatement>().info->name);
			}
			auto start = parsed->stmt_location;
			auto length = parsed->stmt_length;
			for (auto &statement : Expand(context, std::move(parsed), in_transaction)) {
				auto type = static_cast<uint8_t>(statement->type);
				found(into, new roost_statement {std::move(statement)}, type, source, start, length);
			}
			source++;
		}
	});
}

extern "C" void roost_statement_free(roost_statement *statement) {
	delete statement;
}

extern "C" roost_failure *roost_prepare(roost_connection *connection, roost_statement *statement, roost_prepared **out) {
	return Guarded([&] {
		unique_ptr<roost_statement> owned(statement);
		connection->state->statement = static_cast<uint8_t>(owned->statement->type);
		connection->state->planned = false;
		connection->state->executes = false;
		auto prepared = connection->connection->context->Prepare(std::move(owned->statement));
		if (prepared->HasError()) {
			prepared->GetErrorObject().Throw();
		}
		*out = new roost_prepared {std::move(prepared), {}, connection->state};
	});
}

extern "C" void roost_prepared_free(roost_prepared *prepared) {
	delete prepared;
}

extern "C" void roost_prepared_properties(const roost_prepared *prepared, roost_properties *out) {
	auto &data = *prepared->prepared->data;
	out->statement = static_cast<uint8_t>(data.statement_type);
	out->returns = static_cast<uint8_t>(data.properties.return_type);
	out->requires_valid_transaction = data.properties.requires_valid_transaction;
	out->complete = data.properties.bound_all_parameters;
	out->streams = data.properties.output_type == QueryResultOutputType::ALLOW_STREAMING;
	out->parameters = prepared->prepared->named_param_map.size();
}

extern "C" void roost_prepared_databases(const roost_prepared *prepared, bool modified, void *into,
                                         roost_text_sink sink) {
	auto &properties = prepared->prepared->data->properties;
	if (modified) {
		for (auto &entry : properties.modified_databases) {
			sink(into, ToText(entry.first));
		}
	} else {
		for (auto &entry : properties.read_databases) {
			sink(into, ToText(entry.first));
		}
	}
}

extern "C" void roost_prepared_columns(const roost_prepared *prepared, void *into, pair_sink column) {
	EmitColumns(prepared->prepared->data->names, prepared->prepared->data->types, into, column);
}

extern "C" void roost_prepared_parameters(const roost_prepared *prepared, void *into,
                                          roost_parameter_sink parameter) {
	auto &data = *prepared->prepared->data;
	for (auto &entry : prepared->prepared->named_param_map) {
		LogicalType type;
		auto known = data.TryGetType(entry.first, type) && type.id() != LogicalTypeId::UNKNOWN;
		auto name = known ? type.ToString() : string();
		parameter(into, ToText(entry.first), entry.second, ToText(name));
	}
}

static Value ToValue(const roost_value &value) {
	switch (value.kind) {
	case 0:
		return Value();
	case 1:
		return Value::BOOLEAN(value.low != 0);
	case 2:
		return Value::BIGINT(static_cast<int64_t>(value.low));
	case 3:
		return Value::HUGEINT(hugeint_t(static_cast<int64_t>(value.high), value.low));
	case 4:
		return Value::UHUGEINT(uhugeint_t(value.high, value.low));
	case 5:
		return Value::DOUBLE(value.number);
	case 6:
		return Value(ToString(value.bytes));
	case 7:
		return Value::BLOB(const_data_ptr_cast(value.bytes.data), value.bytes.size);
	default:
		throw InvalidInputException("a parameter value of no known kind");
	}
}

extern "C" roost_failure *roost_prepared_bind(roost_prepared *prepared, roost_text name, const roost_value *value) {
	return Guarded([&] { prepared->values[ToString(name)] = BoundParameterData(ToValue(*value)); });
}

extern "C" void roost_prepared_clear(roost_prepared *prepared) {
	prepared->values.clear();
}

// Fixed for every result: what a client may SET about Arrow must not change what its bytes mean to us.
static ClientProperties ArrowProperties(ClientContext &context) {
	auto properties = context.GetClientProperties();
	properties.arrow_lossless_conversion = true;
	properties.arrow_offset_size = ArrowOffsetSize::REGULAR;
	properties.arrow_use_list_view = false;
	properties.produce_arrow_string_view = false;
	properties.arrow_output_version = ArrowFormatVersion::V1_0;
	return properties;
}

// Types that DuckDB has no Arrow for (VARIANT, TYPE, what contains them) are sent as text. Known by trying: the
// statement has run by now, so its result must not fail for that.
static vector<LogicalType> ArrowTypes(const vector<LogicalType> &types, ClientProperties &properties) {
	vector<LogicalType> result;
	for (auto &type : types) {
		try {
			ArrowSchemaWrapper schema;
			ArrowConverter::ToArrowSchema(&schema.arrow_schema, {type}, {"column"}, properties);
			result.push_back(type);
		} catch (const NotImplementedException &) {
			result.push_back(LogicalType::VARCHAR);
		}
	}
	return result;
}

// The chunk with the types of ArrowTypes.
static void ToArrowTypes(roost_result &result, DataChunk &chunk) {
	for (idx_t i = 0; i < chunk.ColumnCount(); i++) {
		if (chunk.data[i].GetType() != result.types[i]) {
			Vector text(result.types[i], chunk.size());
			VectorOperations::Cast(*result.context, chunk.data[i], text, chunk.size());
			chunk.data[i].ReferenceAndSetType(text);
		}
	}
}

static void CheckInterval(const Value &value) {
	if (value.IsNull()) {
		return;
	}
	auto &type = value.type();
	if (type.id() == LogicalTypeId::INTERVAL) {
		auto micros = value.GetValueUnsafe<interval_t>().micros;
		constexpr int64_t LIMIT = NumericLimits<int64_t>::Maximum() / Interval::NANOS_PER_MICRO;
		if (micros > LIMIT || micros < -LIMIT) {
			throw OutOfRangeException("The time part of an INTERVAL is above 292 years, which a result cannot hold; "
			                          "cast it to VARCHAR");
		}
	} else if (type.InternalType() == PhysicalType::STRUCT) {
		for (auto &child : StructValue::GetChildren(value)) {
			CheckInterval(child);
		}
	} else if (type.InternalType() == PhysicalType::LIST) {
		for (auto &child : ListValue::GetChildren(value)) {
			CheckInterval(child);
		}
	} else if (type.InternalType() == PhysicalType::ARRAY) {
		for (auto &child : ArrayValue::GetChildren(value)) {
			CheckInterval(child);
		}
	}
}

// DuckDB multiplies microseconds by 1000 for Arrow and lets them wrap around without a word.
static void CheckIntervals(DataChunk &chunk) {
	for (idx_t column = 0; column < chunk.ColumnCount(); column++) {
		if (TypeVisitor::Contains(chunk.data[column].GetType(), LogicalTypeId::INTERVAL)) {
			for (idx_t row = 0; row < chunk.size(); row++) {
				CheckInterval(chunk.GetValue(column, row));
			}
		}
	}
}

// Saves the error that ends a statement's tasks from being taken for an interrupt.
//
// A worker's error goes to Executor::PushError, which also raises the flag of an interrupt so that the other workers
// stop. A reader that comes before this error was thrown at it finds the flag (SimpleBufferedData::ExecuteTaskInternal
// looks at it first) and ends the statement as interrupted (StreamQueryResult::FetchNextInternal); the executor and
// its errors are gone before the fetch returns. On the way there Executor::CancelTasks waits for the tasks and then
// drops the executor's events, with the errors still in place. So this is an event that nothing depends on and nobody
// schedules: it is only there to be dropped.
class CauseKeeper : public Event {
public:
	CauseKeeper(Executor &executor, shared_ptr<ErrorData> cause_p) : Event(executor), cause(std::move(cause_p)) {
	}
	~CauseKeeper() override {
		try {
			if (executor.HasError()) {
				*cause = executor.GetError();
			}
		} catch (...) {
			// No memory for a copy: it stays an interrupt.
		}
	}
	void Schedule() override {
	}

private:
	shared_ptr<ErrorData> cause;
};

// What ClientContext::ExecuteTaskInternal does with an error of the executor when it gets to it.
[[noreturn]] static void ThrowCause(roost_result &result) {
	auto &error = *result.cause;
	if (Exception::InvalidatesDatabase(error.Type()) || error.Type() == ExceptionType::INTERNAL) {
		ValidChecker::Invalidate(DatabaseInstance::GetDatabase(*result.context), error.RawMessage());
	}
	result.context->ProcessError(error, result.text);
	error.Throw();
}

extern "C" roost_failure *roost_execute(roost_prepared *prepared, roost_result **out) {
	return Guarded([&] {
		auto &statement = *prepared->prepared;
		prepared->state->statement = static_cast<uint8_t>(statement.data->statement_type);
		auto pending = statement.PendingQuery(prepared->values, true);
		if (pending->HasError()) {
			pending->ThrowError();
		}
		auto cause = make_shared_ptr<ErrorData>();
		auto &executor = statement.context->GetExecutor();
		executor.AddEvent(make_shared_ptr<CauseKeeper>(executor, cause));
		auto result = pending->Execute();
		if (result->HasError()) {
			result->ThrowError();
		}
		auto arrow = ArrowProperties(*statement.context);
		auto types = ArrowTypes(result->types, arrow);
		auto extensions = ArrowTypeExtensionData::GetExtensionTypes(*statement.context, types);
		*out = new roost_result {std::move(result), std::move(arrow), std::move(extensions), statement.context,
		                         std::move(types), statement.query, std::move(cause)};
	});
}

extern "C" void roost_result_free(roost_result *result) {
	delete result;
}

extern "C" void roost_result_columns(const roost_result *result, void *into, pair_sink column) {
	EmitColumns(result->result->names, result->result->types, into, column);
}

extern "C" uint8_t roost_result_returns(const roost_result *result) {
	return static_cast<uint8_t>(result->result->properties.return_type);
}

extern "C" roost_failure *roost_result_schema(roost_result *result, void *schema) {
	return Guarded([&] {
		ArrowConverter::ToArrowSchema(static_cast<ArrowSchema *>(schema), result->types, result->result->names,
		                              result->arrow);
	});
}

extern "C" roost_failure *roost_result_next(roost_result *result, void *array, uint64_t *rows) {
	return Guarded([&] {
		auto &source = *result->result;
		*rows = 0;
		auto chunk = source.FetchRaw();
		// A stream that fails half way ends like one that is complete, but for its error.
		if (source.HasError()) {
			if (source.GetErrorType() == ExceptionType::INTERRUPT && result->cause->HasError()) {
				ThrowCause(*result);
			}
			source.ThrowError();
		}
		if (!chunk || chunk->size() == 0) {
			return;
		}
		ToArrowTypes(*result, *chunk);
		CheckIntervals(*chunk);
		ArrowConverter::ToArrowArray(*chunk, static_cast<ArrowArray *>(array), result->arrow, result->extensions);
		*rows = chunk->size();
	});
}

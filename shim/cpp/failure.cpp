// Errors, both ways.
#include "shim.hpp"

using namespace duckdb;

namespace roost {

void CallbackSlot::Throw() const {
	switch (kind) {
	case 0:
		throw IOException(message);
	case 1: {
		std::unordered_map<string, string> extra;
		if (!code.empty()) {
			extra["refusal"] = code;
		}
		unordered_map<string, string> info(extra.begin(), extra.end());
		throw Exception(info, ExceptionType::PERMISSION, message);
	}
	default:
		throw FatalException(message);
	}
}

} // namespace roost

extern "C" void roost_callback_fail(void *slot, uint8_t kind, roost_text message, roost_text code) {
	auto &target = *static_cast<roost::CallbackSlot *>(slot);
	target.kind = kind;
	target.message = roost::ToString(message);
	target.code = roost::ToString(code);
}

extern "C" void roost_failure_read(const roost_failure *failure, void *into,
                                   void (*head)(void *into, uint8_t type, roost_text message),
                                   void (*extra)(void *into, roost_text key, roost_text value)) {
	head(into, static_cast<uint8_t>(failure->error.Type()), roost::ToText(failure->error.RawMessage()));
	for (auto &entry : failure->error.ExtraInfo()) {
		extra(into, roost::ToText(entry.first), roost::ToText(entry.second));
	}
}

extern "C" void roost_failure_free(roost_failure *failure) {
	delete failure;
}

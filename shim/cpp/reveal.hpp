// A way to private members of DuckDB's that the language allows.
#pragma once

namespace roost {

// `Revealed(TAG())` gives the member that `template struct Reveal<TAG, &CLASS::member>` names, where TAG has its type. It
// does not compile when the member is gone or another one.
template <class TAG, typename TAG::type MEMBER>
struct Reveal {
	friend typename TAG::type Revealed(TAG) {
		return MEMBER;
	}
};

} // namespace roost

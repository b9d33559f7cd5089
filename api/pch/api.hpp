// Precompiled for the rooms below the actors. Only what nearly every source there includes anyway; each source still
// includes what it uses, so builds without precompiled headers work the same.
#include <boost/json.hpp>
#include <boost/system/result.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

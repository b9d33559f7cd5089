// Precompiled for the actor shells: CAF as a whole costs more than most of the sources that use it.
#include <caf/all.hpp>

#include <boost/json.hpp>
#include <boost/system/result.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/kubelet/io_thread.hpp"
#include "actors/kubelet/limits.hpp"
#include "actors/kubelet/stream/log_reader.hpp"
#include "actors/kubelet/stream/stream_door.hpp"
#include "api/meta/time.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <array>
#include <fcntl.h>
#include <filesystem>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::kubelet {

namespace asio = boost::asio;

namespace {

/// Reads one log file and what is appended to it; everything on the io thread.
class log_core : public std::enable_shared_from_this<log_core> {
public:
  log_core(asio::io_context& io, std::string path, bool follow, log_options o)
      : io_(io), watch_(io), path_(std::move(path)), follow_(follow), options_(o), formatter_(o) {}
  ~log_core() {
    if (fd_ >= 0) ::close(fd_);
  }

  void next(std::function<void(stream_chunk)> got) {
    asio::post(io_, [me = shared_from_this(), got = std::move(got)]() mutable {
      me->want_ = std::move(got);
      me->turn();
    });
  }
  void close() {
    asio::post(io_, [me = shared_from_this()] {
      me->want_ = nullptr;
      me->follow_ = false;
      boost::system::error_code ec;
      me->watch_.close(ec);
    });
  }
  /// The writer is gone: what is in the file is all.
  void writer_ended() {
    asio::post(io_, [me = shared_from_this()] {
      me->follow_ = false;
      me->turn();
    });
  }

private:
  void turn() {
    if (!want_) return;
    if (fd_ < 0 && !open()) return wait_or_end();
    std::array<char, limits::stream_chunk_bytes> buffer;
    while (!formatter_.full()) {
      auto n = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(at_));
      if (n <= 0) {
        if (rotated()) continue;
        return wait_or_end();
      }
      at_ += static_cast<std::uint64_t>(n);
      auto text = formatter_.feed({buffer.data(), static_cast<std::size_t>(n)});
      if (!text.empty()) return give({1, std::move(text), false});
    }
    give({1, {}, true});
  }

  bool open() {
    fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) return false;
    struct stat st {};
    ::fstat(fd_, &st);
    inode_ = st.st_ino;
    at_ = 0;
    if (std::exchange(first_, false) && options_.tail_lines >= 0)
      at_ = tail_offset(fd_, static_cast<std::uint64_t>(st.st_size), options_.tail_lines);
    return true;
  }

  /// At the end of the file: a new file under the same name takes over.
  bool rotated() {
    struct stat st {};
    if (::stat(path_.c_str(), &st) != 0 || st.st_ino == inode_) return false;
    ::close(fd_);
    fd_ = -1;
    return open();
  }

  void wait_or_end() {
    if (!follow_) return give({1, {}, true});
    if (!watch_.is_open() && !start_watch())
      return give({3,
                   errors::internal("cannot follow this log: no inotify instance is left; close other followers or "
                                    "raise fs.inotify.max_user_instances")
                       .to_bytes(),
                   true});
    // What was written between the read and the watch has no event: read once more behind a new watch.
    if (std::exchange(fresh_watch_, false)) return turn();
    if (waiting_) return;
    waiting_ = true;
    watch_.async_read_some(asio::buffer(events_), [me = shared_from_this()](boost::system::error_code ec, std::size_t) {
      me->waiting_ = false;
      if (!ec) me->turn();
    });
  }

  bool start_watch() {
    int fd = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) return false;
    auto dir = std::filesystem::path{path_}.parent_path().string();
    if (::inotify_add_watch(fd, dir.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
      ::close(fd);
      return false;
    }
    watch_.assign(fd);
    fresh_watch_ = true;
    return true;
  }

  void give(stream_chunk c) {
    auto got = std::exchange(want_, nullptr);
    if (got) got(std::move(c));
  }

  asio::io_context& io_;
  asio::posix::stream_descriptor watch_;
  std::string path_;
  bool follow_, first_ = true, waiting_ = false, fresh_watch_ = false;
  log_options options_;
  log_formatter formatter_;
  int fd_ = -1;
  std::uint64_t at_ = 0;
  ino_t inode_ = 0;
  std::function<void(stream_chunk)> want_;
  alignas(inotify_event) std::array<char, 4096> events_;
};

class log_handle final : public pod_stream {
public:
  log_handle(context_ptr ctx, std::shared_ptr<log_core> core) : ctx_(std::move(ctx)), core_(std::move(core)) {}
  ~log_handle() override { core_->close(); }
  void next(std::function<void(stream_chunk)> got) override { core_->next(std::move(got)); }
  bool write(int, std::string, std::function<void()>) override { return true; }
  void close_stdin() override {}
  void close() override { core_->close(); }

private:
  context_ptr ctx_;
  std::shared_ptr<log_core> core_;
};

std::int64_t since(const open_stream& w) {
  if (w.since_seconds >= 0) {
    auto now = std::chrono::system_clock::now() - std::chrono::seconds{w.since_seconds};
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  }
  if (auto t = parse_time(w.since_time)) return t->time_since_epoch().count() * 1000;
  return 0;
}

} // namespace

pod_stream_ptr make_log_stream(const context_ptr& ctx, const open_stream& what, const std::string& path,
                               const std::string& container_id) {
  log_options o{what.timestamps, what.tail_lines, what.limit_bytes, since(what)};
  auto core = std::make_shared<log_core>(ctx->io->context(), path, what.follow, o);
  if (what.follow) {
    std::weak_ptr<log_core> weak = core;
    ctx->exits.listen(container_id, weak, [weak] {
      if (auto c = weak.lock()) c->writer_ended();
    });
    // It may have ended before we listened.
    auto info = ctx->options.engine->inspect(container_id);
    if (!info || info->phase == runtime::container_phase::exited) core->writer_ended();
  }
  return std::make_shared<log_handle>(ctx, std::move(core));
}

} // namespace troupe::kubelet

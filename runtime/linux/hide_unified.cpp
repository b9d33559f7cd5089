// hide_unified: runs a program where a hybrid host's cgroup v2 tree cannot be seen, because crun refuses to work where
// it can. A program of its own, so that only crun lives in that private view of the mounts and conmon does not hold
// copies of every pod's mounts; small, so that it costs half a millisecond. Embedded into the library as bytes.
// usage: hide_unified UNIFIED_MOUNT PROGRAM ARG…
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace {

int fail(const char* what) {
  const char* why = ::strerror(errno);
  for (const char* part : {"cannot ", what, ": ", why, "\n"})
    if (::write(2, part, ::strlen(part)) < 0) break;
  return 125;
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 125;
  if (::unshare(CLONE_NEWNS) != 0) return fail("make a mount namespace");
  // Slave: what the host mounts later still arrives, nothing of ours goes back.
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return fail("separate the mounts");
  if (::umount2(argv[1], MNT_DETACH) != 0) return fail("unmount the cgroup v2 tree");
  // crun protects its own file by running a copy of it, which costs as much as creating a container; it does not where
  // the file is read-only, and here it can be. Where this fails crun makes its copy.
  if (::mount(argv[2], argv[2], nullptr, MS_BIND, nullptr) == 0)
    (void)::mount(nullptr, argv[2], nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr);
  ::execv(argv[2], argv + 2);
  return fail("run the container runtime");
}

#include "api/schema/openapi_words.hpp"

#include <algorithm>
#include <cctype>

namespace troupe::schema {

namespace {

bool upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
char lowered(char c) noexcept { return upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }

/// `restartPolicy` -> `restart policy`, `hostIPC` -> `host IPC`, `ReplicaSet` -> `replica set`.
std::string words(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool after_lower = i > 0 && !upper(name[i - 1]);
    const bool before_lower = i + 1 < name.size() && !upper(name[i + 1]) && name[i + 1] != 's';
    if (upper(c) && i > 0 && (after_lower || before_lower)) out += ' ';
    const bool acronym = upper(c) && ((i > 0 && upper(name[i - 1])) || (i + 1 < name.size() && upper(name[i + 1])));
    out += acronym ? c : lowered(c);
  }
  return out;
}

/// Words that people write in capitals whatever the field name does.
std::string with_capitals(std::string_view text) {
  static constexpr std::string_view names[] = {
      "api", "cidr", "cidrs", "cpu", "csi", "dns", "fs",  "gid", "grpc", "http", "https", "id",  "ids", "ip",
      "ips", "ipc",  "os",    "pid", "tcp", "tls", "ttl", "udp", "uid",  "uri",  "url",   "wwn", "nfs", "fc"};
  std::string out;
  while (!text.empty()) {
    const auto end = text.find(' ');
    const auto word = text.substr(0, end);
    if (!out.empty()) out += ' ';
    const bool known = std::find(std::begin(names), std::end(names), word) != std::end(names);
    for (std::size_t i = 0; i < word.size(); ++i) {
      const bool plural =
          i + 1 == word.size() && word.back() == 's' && (word == "ids" || word == "ips" || word == "cidrs");
      out += known && !plural ? static_cast<char>(std::toupper(static_cast<unsigned char>(word[i]))) : word[i];
    }
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  }
  return out;
}

std::string sentence(std::string s) {
  if (!s.empty() && s[0] >= 'a' && s[0] <= 'z') s[0] = static_cast<char>(s[0] - 'a' + 'A');
  return s + ".";
}

/// Fields whose name alone says too little, by `Type.field` or by name in any type.
std::string_view known_words(const type& owner, const field& f) {
  struct row {
    std::string_view type, field, text;
  };
  static constexpr row rows[] = {
      {"", "apiVersion", "The group and version of the schema this object is written in, such as apps/v1."},
      {"", "kind", "The kind of this object, in CamelCase. It cannot be changed."},
      {"ObjectMeta", "name", "The name, unique among objects of this kind in one namespace. It cannot be changed."},
      {"ObjectMeta", "namespace", "The namespace the object lives in; empty for kinds of the cluster."},
      {"ObjectMeta", "generateName", "A prefix from which the server makes a unique name when name is empty."},
      {"ObjectMeta", "uid", "The identity of this object for all time, set by the server."},
      {"ObjectMeta", "resourceVersion",
       "The revision of the last write; sent back in an update, it guards against lost "
       "updates."},
      {"ObjectMeta", "generation", "Counts changes of the desired state, set by the server."},
      {"ObjectMeta", "creationTimestamp", "When the object was created, set by the server."},
      {"ObjectMeta", "deletionTimestamp",
       "When the object is to be gone; set by the server once deletion is asked for."},
      {"ObjectMeta", "labels", "Keys and values that selectors match."},
      {"ObjectMeta", "annotations", "Keys and values that tools attach; not for selecting."},
      {"ObjectMeta", "ownerReferences", "The objects this one depends on; when all of them are gone it is collected."},
      {"ObjectMeta", "finalizers",
       "What has to be done before the object may go; each entry is removed by whoever did "
       "it."},
      {"", "metadata", "Name, namespace, labels and the other data that every object has."},
      {"", "spec", "The desired state."},
      {"", "status", "The observed state, written by the system."},
      {"PodSpec", "containers", "The containers of the pod, at least one. They share its network and volumes."},
      {"PodSpec", "initContainers", "Containers that run to completion one after the other before the others start."},
      {"PodSpec", "volumes", "Volumes that the containers of the pod may mount."},
      {"PodSpec", "nodeName", "The node the pod is bound to; the scheduler sets it."},
      {"PodSpec", "nodeSelector", "Labels a node must have to run the pod."},
      {"Container", "image", "Reference of the container image."},
      {"Container", "command", "The program to run instead of the image's entry point; $(NAME) is expanded."},
      {"Container", "args", "Arguments of the program instead of the image's; $(NAME) is expanded."},
      {"Container", "env", "Environment variables."},
      {"Container", "ports", "Ports the container listens on."},
      {"DeploymentSpec", "replicas", "How many pods are wanted."},
      {"ReplicaSetSpec", "replicas", "How many pods are wanted."},
      {"StatefulSetSpec", "replicas", "How many pods are wanted."},
      {"", "template", "The template new objects are made from."},
      {"ServiceSpec", "selector", "Labels of the pods that serve; without it endpoints are managed by hand."},
      {"", "selector", "Selects the objects that belong to this one by their labels."},
      {"", "minReadySeconds", "Seconds a new pod must be ready before it counts as available."},
  };
  for (const auto& r : rows)
    if (r.field == f.name && (r.type.empty() || r.type == owner.go_name)) return r.text;
  return {};
}

std::string listed(const std::vector<std::string>& values) {
  std::string out;
  for (const auto& v : values)
    if (!v.empty()) out.append(out.empty() ? "" : ", ").append(v);
  return out;
}

} // namespace

std::string describe(const type& owner, const field& f) {
  const auto known = known_words(owner, f);
  std::string out = known.empty() ? sentence(with_capitals(words(f.name))) : std::string{known};
  if (f.how == shape::list && f.list == list_kind::map) out += " Entries are told apart by " + listed(f.keys) + ".";
  if (f.how == shape::list && f.list == list_kind::set) out += " A set: no value stands twice.";
  if (!f.one_of.empty()) out += " One of " + listed(f.one_of) + ".";
  switch (f.what) {
  case form::quantity: out += " An amount such as 500m, 2 or 1Gi."; break;
  case form::int_or_string: out += " A number, or a name or percentage as text."; break;
  case form::time: out += " A time as in RFC 3339."; break;
  case form::duration: out += " A duration such as 1m30s."; break;
  case form::bytes: out += " Base64."; break;
  default: break;
  }
  if (f.required) out += " Required.";
  if (f.fallback && !f.fallback->is_structured()) out += " Default: " + json::serialize(*f.fallback) + ".";
  for (const auto& kv : f.fallback_if) {
    const auto value = jq::view(kv.value().as_string());
    out += " Default, " + std::string{jq::view(kv.key())} + (value.empty() ? "" : ": " + std::string{value}) + ".";
  }
  if (f.gated_off) out += " Behind a feature gate that is off: the server drops it.";
  if (f.deprecated) out += " Deprecated.";
  return out;
}

std::string describe(const type& t) {
  if (!t.kinds.empty()) {
    const auto& k = t.kinds.front();
    if (t.find("items")) return "A list of objects of kind " + k.kind.substr(0, k.kind.size() - 4) + ".";
    return k.kind + " of " + (k.group.empty() ? "the core group" : "group " + k.group) + ", version " + k.version + ".";
  }
  switch (t.what) {
  case form::quantity: return "An exact amount such as 500m, 2, 1.5Gi or 1e3.";
  case form::int_or_string: return "An integer, or text such as a port name or a percentage.";
  case form::time: return "A time as in RFC 3339, in whole seconds.";
  case form::microtime: return "A time as in RFC 3339, in microseconds.";
  case form::duration: return "A duration such as 1m30s.";
  case form::structure: return sentence(with_capitals(words(t.go_name)));
  default: return "Any JSON.";
  }
}

} // namespace troupe::schema

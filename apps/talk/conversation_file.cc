#include "apps/talk/conversation_file.h"

#include "apps/run/strict_json.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling {

namespace {

Role parse_role(const std::string& role, const std::string& where) {
  for (const Role known : {Role::system, Role::user, Role::assistant}) {
    if (role == name(known)) return known;
  }
  fail(where, ": role is ", role, ", expected system, user or assistant");
}

}  // namespace

void save_conversation(const std::string& path, const Conversation& conversation) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  for (const Turn& turn : conversation.turns())
    messages.push_back({{"role", name(turn.role)}, {"content", turn.text}});
  const nlohmann::ordered_json line = {{"messages", messages}};
  AtomicFile file(path);
  file.write(line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  file.commit();
}

void load_conversation(const std::string& path, Conversation& conversation) {
  const FileView file(path);
  parse_conversation({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path,
                     conversation);
}

void parse_conversation(std::string_view contents, const std::string& path, Conversation& conversation) {
  const nlohmann::json json = parse_json(contents, path);
  const std::vector<JsonObject> messages = JsonObject(json, path).objects("messages");
  Conversation loaded = conversation;
  loaded.clear();
  loaded.set_system("");
  bool ends_with_answer = true;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string where = str(path, ": messages[", i, "]");
    const Role role = parse_role(messages[i].text("role"), where);
    const std::string text = messages[i].text("content");
    if (role == Role::system && i > 0) fail(where, ": the role is system, expected it only in messages[0]");
    try {
      role == Role::system ? loaded.set_system(text) : loaded.add(role, text);
    } catch (const Error& error) {
      fail(where, ": ", error.what());
    }
    ends_with_answer = role != Role::user;
  }
  if (!ends_with_answer) fail(path, ": the last message is of the user, expected an answer");
  conversation = std::move(loaded);
}

}  // namespace inkling

// user, role, label: accounts, rights and labels. Each change is a leaf of the record.
#include <algorithm>
#include <iostream>

#include "commands.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

struct UserOptions {
    std::string account, clearance, token_name;
    std::vector<std::string> roles, departments;
    bool disable = false, enable = false;
};

void show_done(const json& reply)
{
    if (reply.contains("password"))
        std::cout << tr("일회용 암호 (지금만 보입니다): ", "one-time password (shown only now): ")
                  << reply["password"].get<std::string>() << "\n";
    if (reply.contains("token"))
        std::cout << tr("토큰 (지금만 보입니다): ", "token (shown only now): ")
                  << reply["token"].get<std::string>() << "\n";
    if (reply.contains("receipt"))
        std::cout << tr("기록됨: ", "recorded: ") << reply["receipt"].dump() << "\n";
}

std::string joined(const json& list)
{
    std::string text;
    for (const json& item : list) text += (text.empty() ? "" : ",") + item.get<std::string>();
    return text;
}

void show_users(const json& reply)
{
    std::vector<std::vector<std::string>> rows{{tr("계정", "account"), tr("역할", "roles"),
                                                tr("등급", "clearance"), tr("부서", "departments"),
                                                tr("상태", "state")}};
    for (const json& user : reply["users"])
        rows.push_back({user["account"], joined(user["roles"]), user["clearance"],
                        joined(user["departments"]),
                        user["disabled"].get<bool>() ? tr("정지", "disabled") : ""});
    print_table(rows);
}

json user_params(const UserOptions& options)
{
    json params{{"account", options.account}};
    if (!options.roles.empty()) params["roles"] = options.roles;
    if (!options.clearance.empty()) params["clearance"] = options.clearance;
    if (!options.departments.empty()) params["departments"] = options.departments;
    if (options.disable || options.enable) params["disabled"] = options.disable;
    return params;
}

void add_rights(CLI::App& command, UserOptions& options)
{
    command.add_option("--role", options.roles, "user, librarian, administrator, security_officer, auditor")
        ->delimiter(',');
    command.add_option("--clearance", options.clearance, "public, internal, restricted, confidential");
    command.add_option("--department", options.departments, tr("부서", "department"))->delimiter(',');
}

void add_user(CLI::App& app, Console& console)
{
    CLI::App* user = app.add_subcommand("user", tr("계정과 API 토큰", "accounts and API tokens"));
    user->require_subcommand(1);
    auto options = std::make_shared<UserOptions>();
    const auto sub = [&](CLI::App* parent, const char* name, const std::string& help,
                         const std::string& method, auto make_params) {
        CLI::App* command = parent->add_subcommand(name, help);
        console.add_reader_options(*command);
        command->callback([=, &console] {
            console.answer(console.call(method, make_params()), method == "users" ? show_users : show_done);
        });
        return command;
    };
    const auto account = [options](CLI::App* command) {
        command->add_option("ACCOUNT", options->account)->required();
    };

    sub(user, "list", tr("목록", "list"), "users", [] { return json::object(); });
    CLI::App* add =
        sub(user, "add",
            tr("계정 만들기 (일회용 암호를 한 번 출력)", "make an account; prints a one-time password"),
            "add_user", [options] { return user_params(*options); });
    account(add);
    add_rights(*add, *options);
    CLI::App* set = sub(user, "set", tr("역할·등급·부서·정지", "roles, clearance, departments, disable"),
                        "set_user", [options] { return user_params(*options); });
    account(set);
    add_rights(*set, *options);
    set->add_flag("--disable", options->disable,
                  tr("정지하고 모든 세션을 끝낸다", "disable and end all sessions"));
    set->add_flag("--enable", options->enable, tr("정지를 푼다", "enable again"))->excludes("--disable");
    account(sub(user, "reset-password", tr("새 일회용 암호", "new one-time password"), "reset_password",
                [options] {
                    return json{{"account", options->account}};
                }));

    CLI::App* token = user->add_subcommand("token", tr("API 토큰", "API tokens"));
    token->require_subcommand(1);
    for (const auto& [name, method, help] :
         {std::tuple{"add", "add_token", tr("만들기 (한 번만 보임)", "make; shown once")},
          std::tuple{"revoke", "revoke_token", tr("무효로 하기", "revoke")}}) {
        CLI::App* command = sub(token, name, help, method, [options] {
            return json{{"account", options->account}, {"name", options->token_name}};
        });
        account(command);
        command->add_option("NAME", options->token_name)->required();
    }
}

void change_role(Console& console, const UserOptions& options, bool grant)
{
    const json users = console.call("users", json::object());
    for (const json& user : users["users"]) {
        if (user["account"] != options.account) continue;
        std::vector<std::string> roles = user["roles"];
        for (const std::string& role : options.roles) {
            std::erase(roles, role);
            if (grant) roles.push_back(role);
        }
        console.answer(console.call("set_user", {{"account", options.account}, {"roles", roles}}), show_done);
        return;
    }
    throw CommandError(CommandError::Kind::usage, tr("그런 계정이 없습니다.", "no such account."),
                       options.account);
}

void add_role(CLI::App& app, Console& console)
{
    CLI::App* role = app.add_subcommand("role", tr("역할을 주고 거둔다", "grant and revoke roles"));
    role->require_subcommand(1);
    auto options = std::make_shared<UserOptions>();
    for (const bool grant : {true, false}) {
        CLI::App* command = role->add_subcommand(grant ? "grant" : "revoke",
                                                 grant ? tr("주기", "grant") : tr("거두기", "revoke"));
        console.add_reader_options(*command);
        command->add_option("ACCOUNT", options->account)->required();
        command->add_option("ROLE", options->roles)->required();
        command->callback([=, &console] { change_role(console, *options, grant); });
    }
}

void add_label(CLI::App& app, Console& console)
{
    CLI::App* label = app.add_subcommand("label", tr("문서의 등급", "labels of documents"));
    label->require_subcommand(1);
    CLI::App* list = label->add_subcommand("list", tr("쓰이는 등급과 문서 수", "labels in use"));
    console.add_reader_options(*list);
    list->callback([&console] {
        console.answer(console.call("labels", json::object()), [](const json& reply) {
            for (const json& row : reply["labels"])
                std::cout << row["label"].get<std::string>() << "  " << row["documents"] << "\n";
        });
    });
    CLI::App* set = label->add_subcommand("set", tr("문서의 등급을 바꾼다", "change a document's label"));
    console.add_reader_options(*set);
    auto id = std::make_shared<std::string>(), text = std::make_shared<std::string>();
    set->add_option("DOCUMENT", *id)->required();
    set->add_option("LABEL", *text, tr("예: internal, restricted:감사관", "e.g. internal, restricted:감사관"))
        ->required();
    set->callback([=, &console] {
        console.answer(
            console.call("label_document", {{"id", *id}, {"label", Label::parse(*text).to_text()}}),
            show_done);
    });
}

}  // namespace

void add_account_commands(CLI::App& app, Console& console)
{
    add_user(app, console);
    add_role(app, console);
    add_label(app, console);
}

}  // namespace jiphyeon::app

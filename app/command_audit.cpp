// audit: the record, its proofs, and the exact repetition of an answer.
#include <iostream>

#include "commands.hpp"

namespace jiphyeon::app {
namespace {

using nlohmann::json;

struct AuditOptions {
    std::uint64_t leaf = 0, from = 0, limit = 50, size = 0;
    std::string actor, action, reason, remembered, out;
};

void show_leaves(const json& reply)
{
    std::vector<std::vector<std::string>> rows{{tr("번호", "leaf"), tr("때", "time"), tr("누가", "actor"),
                                                tr("무엇", "action"), tr("결과", "outcome")}};
    for (const json& leaf : reply["leaves"])
        rows.push_back({leaf["leaf"].dump(), leaf["time"], leaf["actor"], leaf["action"], leaf["outcome"]});
    print_table(rows);
}

void show_verified(const json& reply)
{
    const bool ok = reply["ok"];
    std::cout << (ok ? tr("기록이 온전합니다.", "The record is sound.")
                     : tr("기록에 문제가 있습니다.", "The record has problems."))
              << "  " << reply["size"] << tr("개 잎, 뿌리 ", " leaves, root ")
              << reply["root"].get<std::string>() << "\n";
    for (const json& problem : reply["problems"])
        std::cout << "  " << tr("잎 ", "leaf ") << problem["leaf"] << ": "
                  << problem["what"].get<std::string>() << "\n";
    for (const json& gap : reply["not_checked"])
        std::cout << "  " << tr("확인하지 않음: ", "not checked: ") << gap.get<std::string>() << "\n";
}

void show_all(const json& reply)
{
    std::cout << reply.dump(2) << "\n";
}

json verify_files(const Console& console, const json& params, const std::string& refusal)
{
    return json::parse(audit_report_json(verify_stored_record(
        DataFolder::open(console.data), params.value("remembered", std::string()), refusal)));
}

}  // namespace

json verify_record(Console& console, const json& params)
{
    try {
        return console.call("audit_verify", params);
    } catch (const AuditError& refused) {  // this process could not open it
        if (!console.as.empty()) throw;    // whose rights cannot be checked without the record
        return verify_files(console, params, refused.what());
    } catch (const CallFailed& failed) {  // the owner of the folder could not go on with it
        const json error = json::parse(failed.what()).at("error");
        if (!console.as.empty() || error.at("where") != "audit") throw;
        return verify_files(console, params, error.at("message"));
    }
}

void add_audit_commands(CLI::App& app, Console& console)
{
    CLI::App* audit = app.add_subcommand("audit", tr("질의 기록과 그 증명", "the record and its proofs"));
    audit->require_subcommand(1);
    auto o = std::make_shared<AuditOptions>();
    const auto sub = [&](const char* name, const std::string& help) {
        CLI::App* command = audit->add_subcommand(name, help);
        console.add_reader_options(*command);
        return command;
    };

    CLI::App* list = sub("list", tr("기록 목록", "list the record"));
    list->add_option("--from", o->from, tr("이 번호부터", "from this leaf"));
    list->add_option("--limit", o->limit, tr("개수", "how many"));
    list->add_option("--actor", o->actor, tr("이 계정만", "only this account"));
    list->add_option("--action", o->action, tr("이 행위만", "only this action"));
    list->callback([=, &console] {
        json params{{"from", o->from}, {"limit", o->limit}};
        if (!o->actor.empty()) params["actor"] = o->actor;
        if (!o->action.empty()) params["action"] = o->action;
        console.answer(console.call("audit_list", params), show_leaves);
    });

    CLI::App* show = sub("show", tr("한 기록의 내용 (사유가 필요하고 그 자체가 기록됨)",
                                    "one record's content; needs a reason, and is recorded"));
    show->add_option("LEAF", o->leaf)->required();
    show->add_option("--reason", o->reason, tr("열람 사유, 10~500자", "why, 10 to 500 characters"))
        ->required();
    show->callback([=, &console] {
        console.answer(console.call("audit_show", {{"leaf", o->leaf}, {"reason", o->reason}}), show_all);
    });

    CLI::App* verify =
        sub("verify", tr("기록 전체를 다시 계산해 확인", "recompute and check the whole record"));
    verify
        ->add_option("--remembered", o->remembered,
                     tr("전에 받은 체크포인트 파일", "file with a checkpoint taken earlier"))
        ->check(CLI::ExistingFile);
    verify->callback([=, &console] {
        json params = json::object();
        if (!o->remembered.empty()) params["remembered"] = read_file(o->remembered);
        const json reply = verify_record(console, params);
        if (!reply["ok"].get<bool>()) console.exit_code = kDoneWithRefusals;
        console.answer(reply, show_verified);
    });

    CLI::App* prove = sub("prove", tr("한 잎이 나무에 있음을 증명", "prove that a leaf is in the tree"));
    prove->add_option("LEAF", o->leaf)->required();
    prove->add_option("--size", o->size, tr("이 크기의 나무에 대해", "against the tree of this size"));
    prove->callback([=, &console] {
        json params{{"leaf", o->leaf}};
        if (o->size > 0) params["size"] = o->size;
        console.answer(console.call("audit_prove", params), show_all);
    });

    CLI::App* replay = sub("replay", tr("기록된 답을 다시 계산해 바이트까지 비교",
                                        "compute a recorded answer again and compare its bytes"));
    replay->add_option("LEAF", o->leaf)->required();
    replay->callback([=, &console] {
        const json reply = console.call("audit_replay", {{"leaf", o->leaf}});
        if (!reply["same"].get<bool>()) console.exit_code = kDoneWithRefusals;
        console.answer(reply, [](const json& r) {
            std::cout
                << (!r["replayable"].get<bool>()
                        ? tr("다시 계산할 수 없는 답입니다. 기관망의 원격 서버가 썼고, 원격 서버는 같은 "
                             "바이트를 보장하지 않습니다:",
                             "This answer cannot be computed again: a server on the network wrote it, and "
                             "servers do not promise the same bytes:")
                    : r["same"].get<bool>() ? tr("같은 바이트가 나왔습니다.", "The same bytes came out.")
                                            : tr("다릅니다:", "It differs:"))
                << "\n";
            for (const json& difference : r["differences"])
                std::cout << "  " << difference.get<std::string>() << "\n";
            const json& generation = r["index_generation"];
            if (generation["then"] != generation["now"])
                std::cout << tr("그 뒤로 색인이 바뀌었습니다: 세대 ",
                                "The index has changed since: generation ")
                          << generation["then"] << " → " << generation["now"] << "\n";
        });
    });

    CLI::App* checkpoint = sub("checkpoint", tr("서명된 체크포인트를 받는다 (밖에 보관하십시오)",
                                                "a signed checkpoint, to be kept elsewhere"));
    checkpoint->add_option("--out", o->out, tr("파일로 저장", "save to a file"));
    checkpoint->callback([=, &console] {
        const json reply = console.call("audit_checkpoint", json::object());
        if (!o->out.empty()) write_file(o->out, reply["checkpoint"].get<std::string>(), 0644);
        console.answer(reply, [](const json& r) { std::cout << r["checkpoint"].get<std::string>(); });
    });

    CLI::App* erase = sub("erase", tr("한 기록의 본문 열쇠를 파기 (되돌릴 수 없음; 증명은 남음)",
                                      "destroy a body's key; cannot be undone, the tree still proves"));
    erase->add_option("LEAF", o->leaf)->required();
    erase->add_option("--reason", o->reason, tr("사유", "why"))->required();
    erase->callback([=, &console] {
        console.answer(console.call("audit_erase", {{"leaf", o->leaf}, {"reason", o->reason}}), show_all);
    });
}

}  // namespace jiphyeon::app

// init, serve, models, selftest, backup, restore: what an administrator does.
#include <csignal>
#include <functional>
#include <future>
#include <iostream>
#include <optional>
#include <thread>

#include "archive.hpp"
#include "commands.hpp"
#include "model_lock.hpp"
#include "models.hpp"

namespace jiphyeon::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void add_init(CLI::App& app, Console& console)
{
    CLI::App* command = app.add_subcommand(
        "init", tr("데이터 폴더를 만든다: 인증서, 열쇠, 첫 관리자, 복구 조각",
                   "make a data folder: certificate, keys, first administrator, escrow shares"));
    console.add_data_options(*command);
    auto wish = std::make_shared<NewFolder>();
    command->add_option("--key-file", wish->key_file,
                        tr("마스터 키 파일 (기본: DIR.key)", "master key file (DIR.key unless given)"));
    command->add_option("--models", wish->models, tr("모델 파일이 있는 폴더", "folder with the model files"))
        ->check(CLI::ExistingDirectory);
    command->add_option("--models-lock", wish->models_lock,
                        tr("승인된 모델 목록", "list of approved models"));
    command->add_option("--address", wish->address, tr("서버가 들을 주소", "address to listen at"));
    command->add_option("--port", wish->port, tr("서버의 포트", "port to listen at"));
    command->callback([=, &console] {
        if (wish->models_lock.empty()) wish->models_lock = default_model_lock();
        const std::vector<std::string> shares = DataFolder::create(console.data, *wish);
        json reply = console.call("add_user", {{"account", "admin"}, {"roles", {"administrator"}}});
        reply["administrator"] = reply["account"];
        reply["address"] = "https://" + wish->address + ":" + std::to_string(wish->port);
        reply["escrow_shares"] = shares;
        console.answer(reply, [&](const json& r) {
            std::cout
                << tr("데이터 폴더를 만들었습니다: ", "Made the data folder: ") << console.data << "\n"
                << tr("관리자: ", "Administrator: ") << r["administrator"].get<std::string>()
                << tr("   일회용 암호 (지금만 보입니다): ", "   one-time password (shown only now): ")
                << r["password"].get<std::string>() << "\n"
                << tr("주소: ", "Address: ") << r["address"].get<std::string>() << "\n\n"
                << tr("복구 조각: 다섯 사람이 하나씩 따로 보관하십시오. 셋이 모이면 마스터 키를 "
                      "되살립니다.\n",
                      "Escrow shares: five people keep one each, apart. Any three restore the master key.\n");
            for (const json& share : r["escrow_shares"])
                std::cout << "  " << share.get<std::string>() << "\n";
        });
    });
}

// SIGINT and SIGTERM are blocked in every thread and awaited here, so that stopping is ordinary code.
void wait_for_stop()
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    int received = 0;
    sigwait(&stop, &received);
}

void block_stop_signals()
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, nullptr);
}

fs::path ui_folder()
{
    for (fs::path dir = own_program().parent_path(); dir.has_relative_path(); dir = dir.parent_path())
        for (const char* place : {"share/jiphyeon/ui_static", "ui_static"})
            if (fs::exists(dir / place / "index.html")) return dir / place;
    throw CommandError(CommandError::Kind::not_done, "화면 파일(ui_static)을 찾을 수 없습니다.",
                       own_program().string());
}

void serve(Console& console)
{
    block_stop_signals();
    DataFolder::require(console.data);
    std::optional<OwnerLock> lock =
        OwnerLock::wait(console.data, [&] { return owner_listens(DataFolder::socket(console.data)); });
    if (!lock) {
        throw CommandError(CommandError::Kind::busy, "이 데이터 폴더의 서버가 이미 떠 있습니다.",
                           console.data);
    }
    Appliance appliance(DataFolder::open(console.data), std::move(*lock));
    const DataFolder& folder = appliance.folder();
    HttpsServer server(appliance.service(), {.address = folder.config().address,
                                             .port = folder.config().port,
                                             .certificate = folder.path() / "keys" / "tls.crt",
                                             .key = {},
                                             .key_pem = folder.unseal("tls"),
                                             .ui = ui_folder(),
                                             .hosts = folder.config().hosts});
    const ControlServer control(appliance.service(), DataFolder::socket(folder.path()));
    const std::string address = "https://" + folder.config().address + ":" + std::to_string(server.port());
    console.answer({{"address", address}}, [&](const json&) {
        std::cout << tr("열렸습니다: ", "Serving at ") << address << std::endl;
    });

    std::atomic<bool> stopping = false;
    const std::future<void> background = std::async(std::launch::async, [&] {
        // The vectors do not wait for a model that cannot be had, such as that of a server that is down.
        for (const std::function<void()>& step :
             {std::function<void()>([&] { appliance.warm_up(); }),
              std::function<void()>([&] { appliance.embed_missing(stopping); })}) {
            try {
                step();
            } catch (const std::exception& e) {
                std::cerr << tr("모델을 준비하지 못했습니다: ", "The models could not be made ready: ")
                          << e.what() << std::endl;
            }
        }
    });
    wait_for_stop();
    stopping = true;
    server.stop();
}

void add_models(CLI::App& app, Console& console)
{
    CLI::App* command = app.add_subcommand(
        "models", tr("승인된 모델과 필요한 메모리", "approved models and the memory they need"));
    console.add_output_options(*command);
    command->add_option("--data", console.data, tr("데이터 폴더", "data folder"))
        ->required()
        ->envname("JIPHYEON_DATA");
    command->callback([&console] {
        DataFolder::require(console.data);
        const json reply = json::parse(models_json(Config::load(DataFolder::settings(console.data))));
        console.answer(reply, [](const json& r) {
            std::uint64_t total = 0;
            std::vector<std::vector<std::string>> rows{{tr("역할", "role"), tr("이름", "name"),
                                                        tr("메모리", "memory"), "SHA-256",
                                                        tr("상태", "state")}};
            for (const json& m : r["models"]) {
                const std::uint64_t memory = m.value("memory_bytes", std::uint64_t{0});
                total += memory;
                rows.push_back({m["role"], m.value("name", std::string("-")), size_text(memory),
                                m["sha256"].get<std::string>().substr(0, 16),
                                m["present"].get<bool>() ? m.value("problem", tr("있음", "present"))
                                                         : tr("없음", "missing")});
            }
            print_table(rows);
            std::cout << tr("모두 ", "Together ") << size_text(total)
                      << tr(", 지금 쓸 수 있는 메모리 ", "; memory available now ")
                      << size_text(r["available_bytes"].get<std::uint64_t>()) << "\n";
        });
    });
}

void add_selftest(CLI::App& app, Console& console)
{
    CLI::App* command = app.add_subcommand("selftest", tr("암호 모듈, 저장소, 기록, 모델을 점검",
                                                          "check cryptography, store, record and models"));
    console.add_reader_options(*command);
    command->callback([&console] {
        const json reply = console.call("selftest", json::object());
        if (!reply["ok"].get<bool>()) console.exit_code = kFailed;
        console.answer(reply, [](const json& r) {
            for (const json& check : r["checks"])
                std::cout << (check["ok"].get<bool>() ? "✓ " : "✗ ") << check["name"].get<std::string>()
                          << "  " << check.value("detail", std::string()) << "\n";
        });
    });
}

void copy_settings(const fs::path& from, const fs::path& to)
{
    fs::copy(from / "keys", to / "keys", fs::copy_options::recursive);
    fs::copy_file(from / "FORMAT", to / "FORMAT");
    fs::copy_file(DataFolder::settings(from), DataFolder::settings(to));
}

void add_backup(CLI::App& app, Console& console)
{
    CLI::App* command = app.add_subcommand("backup", tr("일관된 사본을 만든다 (마스터 키는 들어 있지 않음)",
                                                        "a consistent copy; the master key is not in it"));
    console.add_reader_options(*command);
    auto to = std::make_shared<std::string>();
    command->add_option("TO", *to, tr("아직 없는 폴더", "a folder that is not there yet"))
        ->required()
        ->check(CLI::NonexistentPath);
    command->callback([=, &console] {
        const json reply = console.call("backup", {{"to", absolute_path(*to)}});
        copy_settings(console.data, *to);
        console.answer(reply, [&](const json&) {
            std::cout << tr("사본을 만들었습니다: ", "Copied to ") << *to << "\n";
        });
    });
}

void add_restore(CLI::App& app, Console& console)
{
    CLI::App* command =
        app.add_subcommand("restore", tr("사본에서 새 데이터 폴더를 만든다 (마스터 키 파일 필요)",
                                         "a new data folder from a copy; needs the master key file"));
    console.add_data_options(*command);
    auto from = std::make_shared<std::string>(), key = std::make_shared<std::string>();
    command->add_option("FROM", *from)->required()->check(CLI::ExistingDirectory);
    command->add_option("--key-file", *key, tr("마스터 키 파일", "master key file"))
        ->required()
        ->check(CLI::ExistingFile);
    command->callback([=, &console] {
        const fs::path target = absolute_path(console.data);
        DataFolder::require(*from);
        if (fs::exists(target))
            throw CommandError(
                CommandError::Kind::data_folder,
                tr("이미 있는 폴더에는 되살리지 않습니다.", "will not restore into a folder that exists."),
                target.string());
        const fs::path fresh = target.string() + ".new";
        fs::remove_all(fresh);
        fs::copy(*from, fresh, fs::copy_options::recursive);
        fs::create_directories(fresh / "run");
        Config config = Config::load(DataFolder::settings(fresh));
        config.key_file = absolute_path(*key);
        config.save(DataFolder::settings(fresh));
        DataFolder::open(fresh).unseal("audit");  // refuses here when the key is not this folder's
        fs::rename(fresh, target);
        const json verified = verify_record(console, json::object());
        if (!verified["ok"].get<bool>()) console.exit_code = kFailed;
        console.answer({{"restored", target.string()}, {"audit", verified}}, [&](const json&) {
            std::cout << tr("되살렸습니다: ", "Restored: ") << target.string()
                      << tr("\n기록 확인: ", "\nrecord: ")
                      << (verified["ok"].get<bool>() ? tr("온전함", "sound")
                                                     : tr("문제 있음", "has problems"))
                      << "\n";
        });
    });
}

}  // namespace

void add_setup_commands(CLI::App& app, Console& console)
{
    add_init(app, console);
    CLI::App* serve_command = app.add_subcommand(
        "serve", tr("HTTPS 서버를 연다 (Ctrl-C로 끝냄)", "run the HTTPS server (Ctrl-C ends it)"));
    console.add_data_options(*serve_command);
    serve_command->callback([&console] { serve(console); });
    add_models(app, console);
    add_selftest(app, console);
    add_backup(app, console);
    add_restore(app, console);
}

}  // namespace jiphyeon::app

#include "console.hpp"

#include <termios.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>

namespace jiphyeon::app {
namespace {

using nlohmann::json;

double now_s()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string ask_password(const std::string& account)
{
    if (!::isatty(STDIN_FILENO))
        throw CommandError(CommandError::Kind::usage,
                           tr("--as에는 --token-file이 필요합니다.", "--as needs --token-file."), "--as");
    std::cerr << account << tr(" 암호: ", "'s password: ") << std::flush;
    termios before{};
    ::tcgetattr(STDIN_FILENO, &before);
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    std::string line;
    std::getline(std::cin, line);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::cerr << "\n";
    return line;
}

std::size_t columns_of(const std::string& text)
{
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    std::size_t width = 0;
    for (std::int32_t i = 0; i < static_cast<std::int32_t>(text.size());) {
        UChar32 c = 0;
        U8_NEXT(bytes, i, static_cast<std::int32_t>(text.size()), c);
        const int east_asian = c < 0 ? U_EA_NEUTRAL : u_getIntPropertyValue(c, UCHAR_EAST_ASIAN_WIDTH);
        width += east_asian == U_EA_WIDE || east_asian == U_EA_FULLWIDTH ? 2 : 1;
    }
    return width;
}

}  // namespace

bool Language::english = false;

void Language::choose(int argc, char** argv)
{
    for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
        if (const char* value = std::getenv(name); value && *value) {
            english = std::string_view(value).starts_with("en");
            break;
        }
    }
    for (int i = 1; i + 1 < argc; ++i)
        if (std::string_view(argv[i]) == "--lang") english = std::string_view(argv[i + 1]) == "en";
}

void Console::add_output_options(CLI::App& command)
{
    command.add_flag("--json", json, tr("결과를 JSON 객체 하나로 출력", "print one JSON object"));
    command
        .add_option("--lang", language,
                    tr("도움말과 안내의 언어: ko, en", "language of help and messages: ko, en"))
        ->check(CLI::IsMember({"ko", "en"}));
}

void Console::add_data_options(CLI::App& command)
{
    add_output_options(command);
    command.add_option("--data", data, tr("데이터 폴더", "data folder"))
        ->required()
        ->envname("JIPHYEON_DATA");
}

void Console::add_reader_options(CLI::App& command)
{
    add_data_options(command);
    command.add_option("--as", as,
                       tr("이 사용자의 권한으로 (암호 또는 토큰 필요)",
                          "with this user's rights (needs password or token)"));
    command
        .add_option(
            "--token-file", token_file,
            tr("--as 사용자의 암호 또는 API 토큰이 든 파일", "file with the password or API token of --as"))
        ->check(CLI::ExistingFile);
}

Console::~Console() = default;

const std::string& Console::secret()
{
    if (!secret_read_ && !as.empty()) {
        secret_ = token_file.empty() ? ask_password(as) : read_file(token_file);
        while (!secret_.empty() && (secret_.back() == '\n' || secret_.back() == '\r')) secret_.pop_back();
    }
    secret_read_ = true;
    return secret_;
}

nlohmann::json Console::call(const std::string& method, const nlohmann::json& params, const OnEvent& on_event)
{
    const Request request{method, params.dump(), as, secret()};
    if (!own_) {
        DataFolder::require(data);
        std::optional<std::string> reply;
        const auto answered = [&] {
            reply = call_owner(DataFolder::socket(data), request, on_event);
            return reply.has_value();
        };
        std::optional<OwnerLock> lock;
        if (!answered()) lock = OwnerLock::wait(data, answered);
        if (!lock) return nlohmann::json::parse(*reply);
        own_ = std::make_unique<Appliance>(DataFolder::open(data), std::move(*lock));
    }
    return nlohmann::json::parse(run_request(
        own_->service(), request, name_of_user(::geteuid()),
        on_event ? on_event : [](std::string_view) { return true; }));
}

void Console::answer(const nlohmann::json& reply,
                     const std::function<void(const nlohmann::json&)>& show) const
{
    if (json)
        std::cout << reply.dump() << std::endl;
    else
        show(reply);
}

ProgressLine::~ProgressLine()
{
    if (shown_ && ::isatty(STDERR_FILENO)) std::cerr << "\n";
}

void ProgressLine::show(double share, const std::string& what)
{
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    const double now = now_s();
    if (quiet_ || (shown_ && now - last_ < (terminal ? 0.1 : 5.0))) return;
    last_ = now;
    shown_ = true;
    constexpr int kBar = 30;
    const int filled = static_cast<int>(std::lround(share * kBar));
    std::string line = "[";
    for (int i = 0; i < kBar; ++i) line += i < filled ? "█" : "·";
    std::cerr << (terminal ? "\r\033[K" : "") << line << "] " << what << (terminal ? "" : "\n") << std::flush;
}

void ProgressLine::show(const json& p)
{
    const auto done = p.value("files_done", 0.0), total = p.value("files_total", 0.0);
    const auto embedded = p.value("embedded", 0.0), to_embed = p.value("to_embed", 0.0);
    const bool embedding = done >= total && to_embed > 0;
    const double share = embedding ? embedded / to_embed : (total > 0 ? done / total : 0);
    std::string line;
    if (embedding)
        line += tr("벡터 ", "vectors ") + std::to_string(static_cast<long>(embedded)) + "/" +
                std::to_string(static_cast<long>(to_embed));
    else
        line += tr("파일 ", "files ") + std::to_string(static_cast<long>(done)) + "/" +
                std::to_string(static_cast<long>(total)) + tr(" · 쪽 ", " · pages ") +
                std::to_string(p.value("pages_done", 0L));
    if (p.contains("seconds_left") && p["seconds_left"].is_number())
        line += tr(" · 남은 시간 ", " · left ") + duration_text(p["seconds_left"].get<double>());
    show(share, line);
}

std::string duration_text(double seconds)
{
    const long s = std::lround(seconds);
    if (s < 60) return std::to_string(s) + tr("초", " s");
    if (s < 3600)
        return std::to_string(s / 60) + tr("분 ", " min ") + std::to_string(s % 60) + tr("초", " s");
    return std::to_string(s / 3600) + tr("시간 ", " h ") + std::to_string(s % 3600 / 60) + tr("분", " min");
}

void print_table(const std::vector<std::vector<std::string>>& rows)
{
    std::vector<std::size_t> widths;
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) {
            if (widths.size() <= i) widths.push_back(0);
            widths[i] = std::max(widths[i], columns_of(row[i]));
        }
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            std::cout << row[i];
            if (i + 1 < row.size()) std::cout << std::string(widths[i] - columns_of(row[i]) + 2, ' ');
        }
        std::cout << "\n";
    }
}

void for_each_line(const std::string& file, const std::function<json(const json& line)>& answer)
{
    std::ifstream opened;
    if (file != "-") {
        opened.open(file);
        if (!opened)
            throw CommandError(CommandError::Kind::usage,
                               tr("파일을 읽을 수 없습니다.", "cannot read the file"), file);
    }
    std::istream& in = file == "-" ? std::cin : opened;
    std::string text;
    for (std::size_t number = 1; std::getline(in, text); ++number) {
        if (text.find_first_not_of(" \t\r") == std::string::npos) continue;
        json reply, id;
        try {
            const json line = json::parse(text);
            id = line.value("id", json());
            reply = answer(line);
        } catch (const json::exception& e) {
            reply = {{"error",
                      {{"kind", "bad_request"},
                       {"message", e.what()},
                       {"where", file + ":" + std::to_string(number)}}}};
        } catch (const CallFailed& e) {
            reply = json::parse(e.what());
        } catch (const GatewayError& e) {
            reply = json::parse(error_json(e));
        }
        json out{{"id", id}};
        out.update(reply);
        std::cout << out.dump() << std::endl;
    }
}

std::string absolute_path(const std::string& path)
{
    return std::filesystem::absolute(path).lexically_normal().string();
}

}  // namespace jiphyeon::app

// What commands have in common: the options that all of them know, how a call reaches the owner of the data
// folder, and how people and programs are answered.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "appliance.hpp"
#include "control.hpp"

namespace jiphyeon::app {

constexpr int kDone = 0, kDoneWithRefusals = 1, kWrongUse = 2, kFailed = 3;

// `ko` or `en` by LANG or `--lang en`; Korean unless English is asked for.
class Language {
public:
    static void choose(int argc, char** argv);
    static bool english;
};
inline std::string tr(const char* korean, const char* english)
{
    return Language::english ? english : korean;
}

class Console {
public:
    std::string data;        // --data
    bool json = false;       // --json: one object on standard output, all else on standard error
    std::string language;    // --lang; read by Language::choose before the command line is parsed
    std::string as;          // --as
    std::string token_file;  // --token-file
    int exit_code = kDone;

    void add_output_options(CLI::App& command);  // --json, --lang
    void add_data_options(CLI::App& command);    // … and --data
    void add_reader_options(CLI::App& command);  // … and --as, --token-file

    // Through the control socket when the folder has an owner, else as the owner for the time of this
    // command.
    nlohmann::json call(const std::string& method, const nlohmann::json& params,
                        const OnEvent& on_event = {});

    // --json: prints `reply`; else lets `show` print for people.
    void answer(const nlohmann::json& reply, const std::function<void(const nlohmann::json&)>& show) const;

    ~Console();

private:
    std::string secret_;  // of `as`, read once
    bool secret_read_ = false;
    std::unique_ptr<Appliance> own_;
    const std::string& secret();
};

// A line of progress on standard error: a bar on a terminal, a line every few seconds elsewhere.
class ProgressLine {
public:
    explicit ProgressLine(bool quiet) : quiet_(quiet) {}
    ~ProgressLine();
    void show(const nlohmann::json& progress);  // of an ingest
    void show(double share, const std::string& what);

private:
    bool quiet_;
    bool shown_ = false;
    double last_ = 0;
};

// Prints lines in columns that take the width of Hangul into account.
void print_table(const std::vector<std::vector<std::string>>& rows);
std::string duration_text(double seconds);

// One JSON object per line of `file` ("-": standard input), each answered by one line on standard output in
// order; `id` is echoed. A line that cannot be read is answered by an error object.
void for_each_line(const std::string& file,
                   const std::function<nlohmann::json(const nlohmann::json& line)>& answer);

std::string absolute_path(const std::string& path);

}  // namespace jiphyeon::app

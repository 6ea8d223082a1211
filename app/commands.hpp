// The subcommands. Each adds itself to the command line and, when chosen, does its work and sets
// Console::exit_code; an exception ends the program with the error object of the README.
#pragma once

#include "console.hpp"

namespace jiphyeon::app {

void add_setup_commands(CLI::App& app, Console& console);    // init, serve, models, selftest, backup, restore
void add_archive_commands(CLI::App& app, Console& console);  // extract, ingest, documents, jobs, quarantine
void add_question_commands(CLI::App& app, Console& console);  // search, ask, mask
void add_account_commands(CLI::App& app, Console& console);   // user, role, label
void add_audit_commands(CLI::App& app, Console& console);     // audit …
void add_engine_commands(CLI::App& app, Console& console);    // engine generate, embed, tokenize, quantize

// The reply of `audit_verify`. Where the record refuses to open nobody can be asked for it, and the operator
// at the console has it checked from the files.
nlohmann::json verify_record(Console& console, const nlohmann::json& params);

}  // namespace jiphyeon::app

// What the methods of `Service` share, and the list of the methods. Each is a function of the state, of who
// is calling (with his rights of this moment) and of the parameters; it returns the reply's object.
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "accounts.hpp"
#include "admission.hpp"
#include "jiphyeon/gateway.hpp"
#include "jobs.hpp"
#include "login_guard.hpp"
#include "messages.hpp"
#include "sessions.hpp"

namespace jiphyeon {

struct ServiceState {
    explicit ServiceState(const ServiceParts& parts);

    // The record. Each of these passes AuditError through and, where the log itself has failed, closes the
    // service until the process is started again.
    RecordId begin(const Caller& caller, std::string_view action, const Json& body);
    void append(RecordId record, const Json& piece);
    Receipt finish(RecordId record, const LeafFacts& facts, const Json& body);
    Receipt note(const Caller& caller, std::string_view action, std::string_view outcome,
                 std::vector<std::string> objects, const Json& body = Json::object());
    LeafFacts facts(const Caller& caller, std::string_view action, std::string_view outcome,
                    std::vector<std::string> objects = {}) const;
    void require_record() const;  // throws AuditError io while the record is closed
    void record_failed(const AuditError& error);

    // Who this is now: rights as stored at this moment. Throws GatewayError not_logged_in, forbidden.
    Caller present(const Caller& caller, std::string_view method) const;
    Scope scope_of(const Reader& reader, std::optional<Day> as_of) const;
    bool readable(const Reader& reader, std::string_view label) const;

    ServiceParts parts;
    Accounts accounts;
    Sessions sessions;
    LoginGuard guard;
    Admission admission;
    Jobs jobs;
    std::atomic<bool> record_closed = false;
};

struct Call {
    ServiceState& state;
    const Caller& caller;
    const Fields fields;
    const Json& params;
    const Service::OnEvent& on_event;
};

// ask.cpp
Json call_ask(const Call& call);
// search.cpp
Json call_search(const Call& call);
// documents.cpp
Json call_documents(const Call& call);
Json call_document(const Call& call);
Json call_withdraw(const Call& call);
Json call_label_document(const Call& call);
Json call_labels(const Call& call);
// Also for page images: throws not_found alike for what is not there and for what is not his to see, after a
// leaf.
DocumentRecord readable_document(const Call& call, std::string_view id);
// history.cpp
void remember_question(ServiceState& state, const Caller& caller, RecordId record);
Json call_history(const Call& call);
Json call_feedback(const Call& call);
// audit_calls.cpp
Json call_audit_list(const Call& call);
Json call_audit_show(const Call& call);
Json call_audit_verify(const Call& call);
Json call_audit_prove(const Call& call);
Json call_audit_replay(const Call& call);
Json call_audit_checkpoint(const Call& call);
Json call_audit_erase(const Call& call);
// account_calls.cpp
Json call_whoami(const Call& call);
Json call_users(const Call& call);
Json call_add_user(const Call& call);
Json call_set_user(const Call& call);
Json call_reset_password(const Call& call);
Json call_change_password(const Call& call);
Json call_add_token(const Call& call);
Json call_revoke_token(const Call& call);
// admin_calls.cpp
Json call_ingest(const Call& call);
Json call_jobs(const Call& call);
Json call_stop_job(const Call& call);
Json call_quarantine(const Call& call);
Json call_status(const Call& call);
Json call_backup(const Call& call);
Json call_models(const Call& call);
Json call_selftest(const Call& call);

// Evidence as it may leave: masked once more, although what is indexed was masked before.
Evidence masked_evidence(Evidence evidence);
// The reader's question, checked for length and form. Throws GatewayError bad_request.
std::string checked_question(const Call& call, const char* field);

// Whether an on_event that may be empty wants to go on.
bool tell(const Service::OnEvent& on_event, const Json& event);
std::size_t characters(std::string_view utf8);  // throws GatewayError bad_request: not UTF-8

}  // namespace jiphyeon

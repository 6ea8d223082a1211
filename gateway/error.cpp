// What a caller is told of a failure: its kind, and words about his own request. The rest (paths, versions,
// words of libraries) goes to the operator's log under an incident number that the caller can quote.
#include <chrono>
#include <iostream>
#include <mutex>

#include "jiphyeon/gateway.hpp"
#include "messages.hpp"
#include "operator_log.hpp"

namespace jiphyeon {
namespace {

std::string error_object(std::string_view kind, const std::string& message, std::string_view where)
{
    return print({{"error", {{"kind", kind}, {"message", message}, {"where", where}}}});
}

std::string withheld(std::string_view kind, const std::string& message, std::string_view where,
                     const std::exception& error)
{
    const std::string incident = log_incident(where, error.what());
    return error_object(kind, message + " (사건 번호 " + incident + ")", where);
}

std::string_view index_kind(IndexError::Kind kind)
{
    switch (kind) {
        case IndexError::Kind::locked:
            return "locked";
        case IndexError::Kind::wrong_version:
            return "wrong_version";
        case IndexError::Kind::corrupt:
            return "corrupt";
        default:
            return "io";
    }
}

std::string_view audit_kind(AuditError::Kind kind)
{
    switch (kind) {
        case AuditError::Kind::corrupt:
            return "corrupt";
        case AuditError::Kind::rolled_back:
            return "rolled_back";
        case AuditError::Kind::wrong_version:
            return "wrong_version";
        default:
            return "io";
    }
}

}  // namespace

std::string_view gateway_error_name(GatewayError::Kind kind)
{
    switch (kind) {
        case GatewayError::Kind::bad_request:
            return "bad_request";
        case GatewayError::Kind::not_logged_in:
            return "not_logged_in";
        case GatewayError::Kind::forbidden:
            return "forbidden";
        case GatewayError::Kind::not_found:
            return "not_found";
        case GatewayError::Kind::busy:
            return "busy";
        case GatewayError::Kind::conflict:
            return "conflict";
        case GatewayError::Kind::unavailable:
            return "unavailable";
        case GatewayError::Kind::io:
            return "io";
    }
    return "io";
}

void log_line(std::string_view what, std::string_view detail)
{
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const std::string line =
        print({{"time", utc_text(now.count())}, {"what", what}, {"detail", detail}}) + "\n";
    static std::mutex one_line_at_a_time;
    const std::lock_guard lock(one_line_at_a_time);
    std::cerr << line << std::flush;
}

std::string log_incident(std::string_view where, std::string_view detail)
{
    std::string number = crypto::random_text(8);
    log_line("incident " + number + " in " + std::string(where), detail);
    return number;
}

std::string error_json(const std::exception& error)
{
    if (const auto* ours = dynamic_cast<const GatewayError*>(&error)) {
        if (ours->kind == GatewayError::Kind::io || ours->kind == GatewayError::Kind::unavailable)
            return withheld(gateway_error_name(ours->kind), "지금은 처리할 수 없습니다.", "gateway", error);
        return error_object(gateway_error_name(ours->kind), ours->what(), "gateway");
    }
    if (const auto* policy = dynamic_cast<const PolicyError*>(&error)) {
        switch (policy->kind) {
            case PolicyError::Kind::bad_label:
                return error_object("bad_label", policy->what(), "policy");
            case PolicyError::Kind::not_allowed:
                return error_object("not_allowed", policy->what(), "policy");
            default:
                return withheld("failed", "정책을 적용하지 못했습니다.", "policy", error);
        }
    }
    if (const auto* audit = dynamic_cast<const AuditError*>(&error)) {
        if (audit->kind == AuditError::Kind::not_found)
            return error_object("not_found", "그런 기록이 없습니다.", "audit");
        if (audit->kind == AuditError::Kind::erased)
            return error_object("erased", "본문이 파기된 기록입니다.", "audit");
        return withheld(audit_kind(audit->kind), "감사 기록을 남길 수 없어 처리하지 않았습니다.", "audit",
                        error);
    }
    if (const auto* index = dynamic_cast<const IndexError*>(&error)) {
        if (index->kind == IndexError::Kind::not_found)
            return error_object("not_found", "그런 문서가 없습니다.", "index");
        if (index->kind == IndexError::Kind::bad_request)
            return withheld("bad_request", "색인이 받아들일 수 없는 요청입니다.", "index", error);
        return withheld(index_kind(index->kind), "색인을 읽거나 쓰지 못했습니다.", "index", error);
    }
    if (const auto* retriever = dynamic_cast<const RetrieverError*>(&error)) {
        if (retriever->kind == RetrieverError::Kind::bad_request)
            return error_object("bad_request", retriever->what(), "retriever");
        return withheld("failed", "답을 만들지 못했습니다.", "retriever", error);
    }
    if (const auto* engine = dynamic_cast<const EngineError*>(&error)) {
        const bool lost = engine->kind == EngineError::Kind::lost;
        return withheld(lost ? "lost" : "failed",
                        lost ? "언어 모델이 지금은 답할 수 없습니다. 잠시 뒤에 다시 물어 주십시오."
                             : "언어 모델이 답하지 못했습니다.",
                        "engine", error);
    }
    if (dynamic_cast<const CryptoError*>(&error) != nullptr)
        return withheld("failed", "암호 연산에 실패했습니다.", "crypto", error);
    return withheld("internal", "처리 중에 오류가 났습니다.", "internal", error);
}

}  // namespace jiphyeon

// libzip does the reading; the sizes that a directory states are not believed: what is inflated is counted.
#include "archive.hpp"

#include <zip.h>

#include <algorithm>

#include "encoding.hpp"

namespace jiphyeon {

Archive::Archive(std::string_view bytes)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    zip_ = source == nullptr ? nullptr : zip_open_from_source(source, ZIP_RDONLY, &error);
    zip_error_fini(&error);
    if (zip_ == nullptr) {
        if (source != nullptr) zip_source_free(source);
        quarantine("truncated", "압축 파일의 목록을 읽을 수 없습니다. 파일이 잘렸거나 깨졌습니다.");
    }
    const zip_int64_t count = zip_get_num_entries(zip_, 0);
    try {
        if (count > static_cast<zip_int64_t>(kMembersMax))
            quarantine("bomb", "압축 파일 안의 파일이 너무 많습니다 (" + std::to_string(count) + "개).");
        for (zip_uint64_t i = 0; i < static_cast<zip_uint64_t>(count); ++i) {
            zip_stat_t stat;
            if (zip_stat_index(zip_, i, ZIP_FL_ENC_RAW, &stat) != 0) continue;
            Member member;
            member.name = decode_file_name(stat.name);
            std::replace(member.name.begin(), member.name.end(), '\\', '/');
            member.index = i;
            member.bytes = stat.size;
            member.packed = stat.comp_size;
            member.encrypted = stat.encryption_method != ZIP_EM_NONE;
            member.folder = !member.name.empty() && member.name.back() == '/';
            by_name_.emplace(member.name, members_.size());
            members_.push_back(std::move(member));
        }
    } catch (...) {
        zip_discard(zip_);
        throw;
    }
}

Archive::~Archive()
{
    zip_discard(zip_);
}

const Archive::Member* Archive::find(std::string_view name) const
{
    const auto it = by_name_.find(name);
    return it == by_name_.end() ? nullptr : &members_[it->second];
}

std::string Archive::read(std::string_view name)
{
    const Member* member = find(name);
    if (member == nullptr) quarantine("broken", "문서 안에 " + std::string(name) + " 부분이 없습니다.");
    return read(*member);
}

std::string Archive::read(const Member& member)
{
    if (member.encrypted) refuse("password", "암호로 잠긴 파일입니다: " + member.name);
    zip_file_t* file = zip_fopen_index(zip_, member.index, 0);
    if (file == nullptr) quarantine("broken", "압축을 풀 수 없습니다: " + member.name);
    std::string out;
    std::string buffer(256u << 10, '\0');
    zip_int64_t got = 0;
    std::string problem;
    while ((got = zip_fread(file, buffer.data(), buffer.size())) > 0) {
        out.append(buffer.data(), static_cast<std::size_t>(got));
        inflated_ += static_cast<std::uint64_t>(got);
        if (out.size() > kMemberBytesMax || inflated_ > kInflatedBytesMax ||
            (out.size() > kRatioFrom && out.size() / kRatioMax > std::max<std::uint64_t>(member.packed, 1))) {
            problem = "bomb";
            break;
        }
    }
    if (got < 0) problem = "broken";
    zip_fclose(file);
    if (problem == "bomb")
        quarantine("bomb", "압축을 풀면 지나치게 커집니다: " + member.name + " (" +
                               std::to_string(member.packed) + "바이트에서 " + std::to_string(out.size()) +
                               "바이트 이상).");
    if (!problem.empty()) quarantine(problem, "압축이 깨져 있습니다: " + member.name);
    return out;
}

}  // namespace jiphyeon

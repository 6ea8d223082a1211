// A small archive in a real index, written for these tests; the agency and its rules do not exist.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "jiphyeon/index.hpp"

namespace jiphyeon::test {

inline constexpr Day kToday = 20779;  // 2026-11-22

class Archive {
public:
    Archive()
    {
        std::string pattern = (std::filesystem::temp_directory_path() / "jiphyeon-retriever-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
        index_ = Index::open(path_ / "index", {});
        rule("산림휴가-2024", "산림청사 휴가 지침", "2024-01-01", "2025-12-31", "제7조(하계휴가)",
             "하계휴가는 4일로 한다. 하계휴가는 7월과 8월에 쓴다.");
        rule("산림휴가-2026", "산림청사 휴가 지침", "2026-01-01", "", "제7조(하계휴가)",
             "하계휴가는 5일로 한다. 하계휴가는 6월부터 9월까지 나누어 쓸 수 있다.", "산림휴가-2024");
        rule("산림휴가-8조", "산림청사 당직 지침", "2026-01-01", "", "제8조의2(당직 수당)",
             "당직 수당은 하룻밤에 6만 원으로 한다. 공휴일 당직에는 2만 원을 더한다.");
        put("대피소", "public", "대피소 관리 안내",
            "백운봉 대피소는 해발 1,240m에 있으며 40명이 묵을 수 있다. 예약은 14일 전부터 받는다.");
        put("대피소-홍보", "public", "백운봉 대피소 소식",
            "백운봉 대피소는 해발 1,240m에 있으며 60명이 묵을 수 있다. 새 침상을 들였다.");
        put("감사", "restricted:감사관", "특정감사 결과",
            "벌채 보조금 3건이 잘못 지급된 사실을 확인하였다. 관련자 2명을 문책한다.");
        put("복사본", "public", "대피소 관리 안내(사본)",
            "백운봉 대피소는 해발 1,240m에 있으며 40명이 묵을 수 있다. 예약은 14일 전부터 받는다.");
    }
    ~Archive()
    {
        index_.reset();
        std::filesystem::remove_all(path_);
    }
    Archive(const Archive&) = delete;
    Archive& operator=(const Archive&) = delete;

    const Index& index() const { return *index_; }

    void put(const std::string& id, const std::string& label, const std::string& title,
             const std::string& text)
    {
        DocumentWrite write = document(id, label, title, title, text);
        index_->put(write);
    }

private:
    static DocumentWrite document(const std::string& id, const std::string& label, const std::string& title,
                                  const std::string& header, const std::string& text)
    {
        DocumentWrite write;
        write.document.id = id;
        write.document.source_id = id;
        write.document.title = title;
        write.document.label = label;
        write.document.stored_us = 1;
        write.view = text;
        Chunk chunk;
        chunk.document_id = id;
        chunk.header = header;
        chunk.text = text;
        chunk.label = label;
        write.chunks = {chunk};
        return write;
    }

    void rule(const std::string& id, const std::string& title, const std::string& from, const std::string& to,
              const std::string& article, const std::string& text, const std::string& supersedes = "")
    {
        DocumentWrite write = document(id, "public", title, title + " > " + article, text);
        write.chunks[0].place.section = article.substr(0, article.find('('));
        write.document.effective_from = day_from_text(from);
        write.document.effective_to = day_from_text(to);
        write.document.supersedes = supersedes;
        index_->put(write);
    }

    std::filesystem::path path_;
    std::unique_ptr<Index> index_;
};

inline Scope open_scope()
{
    return {.labels = {"public"}, .day = kToday, .all_versions = false};
}

}  // namespace jiphyeon::test

#include "event_stream.hpp"

#include <gtest/gtest.h>

#include "jiphyeon/llm_engine.hpp"

namespace jiphyeon {
namespace {

using Events = std::vector<std::string>;

Events events_of(std::string_view bytes)
{
    return EventStream().push(bytes);
}

TEST(EventStream, ReadsDataCommentsAndJoinedLinesAsBrowsersDo)
{
    EXPECT_EQ(events_of("data: 가\n\n"), (Events{"가"}));
    EXPECT_EQ(events_of("\xEF\xBB\xBF"
                        "data:a\ndata\ndata:  b\n\n"),
              (Events{"a\n\n b"}));
    EXPECT_EQ(events_of(": ping\n\nevent: x\nid: 1\n\ndata: {}\nretry: 3\n\n"), (Events{"{}"}));
    EXPECT_EQ(events_of("data: not closed\n"), Events{});
}

// The same bytes in one piece and cut at every place, with each kind of line end.
TEST(EventStream, IsTheSameHoweverTheBytesAreCut)
{
    for (const std::string end : {"\n", "\r", "\r\n"}) {
        const std::string bytes =
            ": hello" + end + "data: 하나" + end + end + "data: 둘" + end + "data: 셋" + end + end + end;
        const Events whole = {"하나", "둘\n셋"};
        for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
            EventStream stream;
            Events got = stream.push(std::string_view(bytes).substr(0, cut));
            const Events more = stream.push(std::string_view(bytes).substr(cut));
            got.insert(got.end(), more.begin(), more.end());
            EXPECT_EQ(got, whole) << "cut at " << cut;
        }
    }
}

TEST(EventStream, RefusesALineAndAnEventWithoutAnEnd)
{
    EventStream line;
    line.push(std::string(EventStream::kEventMax, 'x'));
    EXPECT_THROW(line.push("x"), EngineError);

    EventStream event;
    const std::string part = "data: " + std::string(EventStream::kEventMax / 2, 'x') + "\n";
    event.push(part);
    EXPECT_THROW(event.push(part), EngineError);
}

}  // namespace
}  // namespace jiphyeon

// The parent's side: a pool of parser children, each with a PDF program of its own that is started when the
// first PDF comes. A child that dies, hangs or talks nonsense costs its file, nothing else.
#include <time.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "jiphyeon/ingest.hpp"
#include "jiphyeon/sandbox.hpp"
#include "message.hpp"

namespace jiphyeon {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr std::chrono::seconds kPerScannedPage = 60s;
constexpr std::uint32_t kScannedPagesMax = 3000;
// A quarter of a processor beside one who answers a question; less would take some files for stuck ones.
constexpr int kNiceness = 5;
constexpr int kStarvedFactor = 8;  // a child that gets no processor may take this many times longer

// Processor time that a process has used so far.
std::chrono::milliseconds processor_time(pid_t pid)
{
    clockid_t clock{};
    timespec used{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0ms;
    return std::chrono::seconds(used.tv_sec) + std::chrono::milliseconds(used.tv_nsec / 1'000'000);
}

NotRead crashed(const std::string& state)
{
    return {false, "crashed", "문서를 읽던 프로그램이 멈추었습니다 (" + state + ")."};
}

NotRead timed_out(std::uint32_t seconds)
{
    return {false, "timeout", "문서를 읽는 데 너무 오래 걸립니다 (" + std::to_string(seconds) + "초 초과)."};
}

}  // namespace

struct Extractor::Pool {
    struct Slot {
        std::optional<CagedChild> parser, pdf;
        bool busy = false;
    };

    explicit Pool(ExtractorOptions given) : options(std::move(given)), slots(std::max(1u, options.workers)) {}

    // Owns a slot for the time of one file.
    class Lease {
    public:
        explicit Lease(Pool& pool) : pool_(pool)
        {
            std::unique_lock lock(pool_.mutex);
            pool_.freed.wait(lock, [&] {
                for (Slot& slot : pool_.slots)
                    if (!slot.busy) slot_ = &slot;
                return slot_ != nullptr;
            });
            slot_->busy = true;
        }
        ~Lease()
        {
            {
                const std::lock_guard lock(pool_.mutex);
                slot_->busy = false;
            }
            pool_.freed.notify_one();
        }
        Lease(const Lease&) = delete;
        Lease& operator=(const Lease&) = delete;
        Slot& slot() { return *slot_; }

    private:
        Pool& pool_;
        Slot* slot_ = nullptr;
    };

    CagedChild& parser(Slot& slot)
    {
        if (!slot.parser) {
            std::vector<std::string> environment;
            if (!options.tessdata.empty())
                environment.push_back("TESSDATA_PREFIX=" + options.tessdata.string());
            slot.parser =
                CagedChild::spawn(options.program, {"worker", "parse"},
                                  {.memory_bytes = options.memory_bytes, .niceness = kNiceness}, environment);
        }
        return *slot.parser;
    }

    // One file's talk with its parser. Returns the last message; on failure ends the child and says why.
    struct Outcome {
        std::string message;
        std::optional<NotRead> failed;
    };
    Outcome talk(Slot& slot, const std::string& request, std::string_view file);
    std::string relay_pdf(Slot& slot, const json& request, std::string_view file, Clock::time_point deadline);

    ExtractorOptions options;
    std::mutex mutex;
    std::condition_variable freed;
    std::vector<Slot> slots;
};

// A PDF program that fails answers for itself: its file is broken, too large or slow.
std::string Extractor::Pool::relay_pdf(Slot& slot, const json& request, std::string_view file,
                                       Clock::time_point deadline)
{
    const auto failure = [](const NotRead& what) {
        return pack_message({{"error", {{"kind", what.kind}, {"reason", what.reason}}}});
    };
    try {
        if (!slot.pdf)
            slot.pdf = CagedChild::spawn(options.pdf_program, {},
                                         {.memory_bytes = options.memory_bytes, .niceness = kNiceness});
        const bool open = request.value("op", "") == "open";
        slot.pdf->channel().send(pack_message(request, open ? file : std::string_view{}));
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        std::optional<std::string> reply = slot.pdf->channel().receive(std::max(left, 1ms));
        if (reply) return std::move(*reply);
        slot.pdf.reset();
        return failure(timed_out(options.timeout_s));
    } catch (const SandboxError& e) {
        std::string state = slot.pdf ? slot.pdf->state() : e.what();
        slot.pdf.reset();
        return failure(crashed("PDF: " + state));
    }
}

Extractor::Pool::Outcome Extractor::Pool::talk(Slot& slot, const std::string& request, std::string_view file)
{
    const auto begin = Clock::now();
    auto deadline = begin + std::chrono::seconds(options.timeout_s);
    std::uint32_t scanned = 0;
    try {
        Channel& channel = parser(slot).channel();
        const auto used_before = processor_time(slot.parser->pid());
        Clock::duration patience{};
        int extended = 0;
        channel.send(request);
        for (;;) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(deadline + patience - Clock::now());
            std::optional<std::string> message = left > 0ms ? channel.receive(left) : std::nullopt;
            if (!message) {
                // On a busy machine a child that works is slow, not stuck: what it used counts, not what
                // passed.
                const auto allowed = deadline - begin;
                const auto used = processor_time(slot.parser->pid()) - used_before;
                const auto missing = allowed - used;
                if (extended < kStarvedFactor && missing > allowed / 4) {
                    ++extended;
                    patience += missing;
                    continue;
                }
                slot.parser.reset();
                const auto spent = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin);
                return {"", timed_out(static_cast<std::uint32_t>(spent.count()))};
            }
            const json head = unpack_message(*message).head;
            if (head.contains("done")) return {std::move(*message), {}};
            if (head.value("note", "") == "page") {
                if (++scanned <= kScannedPagesMax) deadline += kPerScannedPage;
            } else if (head.value("want", "") == "pdf") {
                channel.send(relay_pdf(slot, head.at("request"), file, deadline + patience));
            } else {
                throw std::runtime_error("the parser sent an unknown message");
            }
        }
    } catch (const SandboxError& e) {
        // Programs that cannot be started are our own trouble, not the file's.
        if (e.kind == SandboxError::Kind::spawn) throw IngestError(IngestError::Kind::worker, e.what());
        if (e.kind == SandboxError::Kind::oversized) {
            slot.parser.reset();
            return {"", NotRead{false, "too_large", "문서에서 나온 내용이 처리 한도를 넘습니다."}};
        }
        std::string state = slot.parser ? slot.parser->state() : e.what();
        slot.parser.reset();
        return {"", crashed(state)};
    } catch (const json::exception& e) {
        slot.parser.reset();
        return {"", crashed(e.what())};
    } catch (const std::runtime_error& e) {
        slot.parser.reset();
        return {"", crashed(e.what())};
    }
}

Extractor::Extractor(ExtractorOptions options) : pool_(std::make_unique<Pool>(std::move(options))) {}
Extractor::~Extractor() = default;

Extraction Extractor::extract(const std::string& name, std::string_view bytes)
{
    Extraction out;
    const std::uint64_t most = std::min<std::uint64_t>(pool_->options.file_bytes_max, kMessageMax - 65'536);
    if (bytes.size() > most) {
        out.not_read =
            NotRead{false, "too_large",
                    "파일이 처리 한도를 넘습니다 (" + std::to_string(bytes.size() >> 20) + " MB)."};
        return out;
    }
    Pool::Lease lease(*pool_);
    const Pool::Outcome outcome =
        pool_->talk(lease.slot(), pack_message({{"op", "parse"}, {"name", name}}, bytes), bytes);
    if (outcome.failed) {
        out.not_read = outcome.failed;
        return out;
    }
    try {
        const Message message = unpack_message(outcome.message);
        if (!message.head.contains("document")) {
            out.not_read =
                NotRead{message.head.at("refused"), message.head.at("kind"), message.head.at("reason")};
            return out;
        }
        std::size_t at = message.head.at("document");
        Document document = Document::from_json(message.bytes.substr(0, at));
        const json& sizes = message.head.at("attachments");
        for (std::size_t i = 0; i < sizes.size() && i < document.attachments.size(); ++i) {
            const std::size_t size = sizes[i];
            document.attachments[i].bytes =
                std::string(message.bytes.substr(std::min(at, message.bytes.size()), size));
            at += size;
        }
        out.document = std::move(document);
    } catch (
        const std::exception& e) {  // the child is foreign ground: what it says is checked, never believed
        out.not_read = crashed(e.what());
    }
    return out;
}

std::optional<std::string> Extractor::render_page(std::string_view bytes, std::uint32_t page, unsigned dpi,
                                                  std::span<const Box> hidden)
{
    json boxes = json::array();
    for (const Box& box : hidden)
        boxes.push_back(json::array({box.page, box.left, box.top, box.right, box.bottom}));
    Pool::Lease lease(*pool_);
    const Pool::Outcome outcome = pool_->talk(
        lease.slot(),
        pack_message({{"op", "render"}, {"page", page}, {"dpi", dpi}, {"hidden", std::move(boxes)}}, bytes),
        bytes);
    if (outcome.failed) return std::nullopt;
    const Message message = unpack_message(outcome.message);
    if (!message.head.contains("image")) return std::nullopt;
    return std::string(message.bytes);
}

}  // namespace jiphyeon

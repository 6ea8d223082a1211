// Masking while the text still comes. What has been given out is kept a little longer as context, since the
// word that makes a number personal ("계좌", "여권번호") stands before it.
#include <algorithm>

#include "jiphyeon/pii.hpp"
#include "pii_view.hpp"

namespace jiphyeon {
namespace {

constexpr std::size_t kContextCharacters = 200;
// Invisible characters do not count as held back, or a run of them would push an identifier out in halves;
// so many of them at once are no text any more.
constexpr std::size_t kPendingCharactersMax = 4096;

// The byte from which the last kHoldBackCharacters visible characters of `view` begin, not before `released`.
std::size_t hold_back_from(const View& view, std::size_t released)
{
    std::size_t visible = 0, all = 0;
    for (std::size_t i = view.text.size(); i > 0; --i) {
        if (view.start[i - 1] < released) break;
        visible += is_invisible(view.text[i - 1]) ? 0 : 1;
        if (visible == StreamMask::kHoldBackCharacters || ++all == kPendingCharactersMax)
            return view.start[i - 1];
    }
    return released;
}

}  // namespace

std::string StreamMask::release(std::size_t cut)
{
    const Masked masked = mask(pending_);
    for (const Masked::Piece& piece : masked.pieces)
        if (piece.start < cut && cut < piece.end) cut = std::max(piece.start, released_);

    std::string out;
    std::size_t done = released_;
    for (const Masked::Piece& piece : masked.pieces) {
        if (piece.end <= released_ || piece.start >= cut) continue;
        if (piece.start > done) out.append(pending_, done, piece.start - done);
        out += pii_tag(piece.type);
        done = piece.end;
    }
    if (done < cut) out.append(pending_, done, cut - done);
    released_ = std::max(cut, done);
    return out;
}

std::string StreamMask::push(std::string_view piece)
{
    pending_ += piece;
    const std::size_t cut = hold_back_from(plain_view(pending_), released_);
    if (cut <= released_) return {};
    std::string out = release(cut);

    const View given = plain_view(std::string_view(pending_).substr(0, released_));
    if (given.text.size() > kContextCharacters) {
        const std::size_t drop = given.start[given.text.size() - kContextCharacters];
        pending_.erase(0, drop);
        released_ -= drop;
    }
    return out;
}

std::string StreamMask::flush()
{
    std::string out = release(pending_.size());
    pending_.clear();
    released_ = 0;
    return out;
}

}  // namespace jiphyeon

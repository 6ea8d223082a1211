#include "jiphyeon/pii.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <memory>

#include "check_digits.hpp"
#include "jiphyeon/policy.hpp"

namespace jiphyeon {
namespace {

// All identifiers are made up; check digits are right where the number must have one.
TEST(CheckDigits, FormulasHoldForKnownNumbers)
{
    EXPECT_TRUE(corporation_checks("1301110006246"));
    EXPECT_FALSE(corporation_checks("1301110006247"));
    EXPECT_TRUE(business_checks("2208162517"));
    EXPECT_FALSE(business_checks("2208162518"));
    EXPECT_TRUE(rrn_checks("9001011234568"));
    EXPECT_FALSE(rrn_checks("9001011234567"));
    EXPECT_TRUE(luhn_checks("4111111111111111"));
    EXPECT_FALSE(luhn_checks("4111111111111112"));
    EXPECT_TRUE(ean13_checks("8801043015011"));
}

// The foreigner's digit is the resident's plus 2, so no number passes both.
TEST(CheckDigits, ForeignersNumbersNeverPassTheResidentsFormula)
{
    for (int serial = 0; serial < 2000; ++serial) {
        std::string digits = "900101" + std::to_string(5000000 + serial * 997);
        for (char last = '0'; last <= '9'; ++last) {
            digits.back() = last;
            EXPECT_FALSE(rrn_checks(digits) && frn_checks(digits));
        }
    }
}

struct Case {
    std::string text, hidden;
    PiiType type;
};

void expect_hidden(const Case& c)
{
    std::vector<std::string> found;
    for (const PiiSpan& span : find_pii(c.text)) {
        const std::string part = c.text.substr(span.start, span.end - span.start);
        found.push_back(std::string(pii_name(span.type)) + " <" + part + ">");
        if (part == c.hidden && span.type == c.type) {
            if (is_masked(c.type)) {
                EXPECT_EQ(mask(c.text).text.find(c.hidden), std::string::npos) << c.text;
                EXPECT_NE(mask(c.text).text.find(pii_tag(c.type)), std::string::npos) << c.text;
            } else {
                EXPECT_EQ(mask(c.text).text, c.text);
            }
            return;
        }
    }
    std::string all;
    for (const std::string& f : found) all += f + " ";
    ADD_FAILURE() << c.text << "\n  wanted " << pii_name(c.type) << " <" << c.hidden << ">, found " << all;
}

TEST(Pii, ResidentNumbersInTheirManyShapes)
{
    for (const Case& c : std::vector<Case>{
             {"주민번호 900101-1234568", "900101-1234568", PiiType::rrn},
             {"홍길동(900101-1234567)은", "900101-1234567", PiiType::rrn},  // since 2020-10: no check digit
             {"주민등록번호: 9001011234567", "9001011234567", PiiType::rrn},
             {"값 9001011234568 확인", "9001011234568", PiiType::rrn},
             {"900101.1234568", "900101.1234568", PiiType::rrn},
             {"900101 - 1234568", "900101 - 1234568", PiiType::rrn},
             {"주민등록번호 900101-\n1234567", "900101-\n1234567", PiiType::rrn},
             {"주 민 등 록 번 호 9 0 0 1 0 1 - 1 2 3 4 5 6 8", "9 0 0 1 0 1 - 1 2 3 4 5 6 8", PiiType::rrn},
             {"| 주민등록번호 | 9 | 0 | 0 | 1 | 0 | 1 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |",
              "9 | 0 | 0 | 1 | 0 | 1 | 1 | 2 | 3 | 4 | 5 | 6 | 7", PiiType::rrn},
             {"생년월일 900101-1******", "900101-1******", PiiType::rrn},
             {"９００１０１－１２３４５６８", "９００１０１－１２３４５６８", PiiType::rrn},
             {"900101–1234567", "900101–1234567", PiiType::rrn},
             {"9001\u200B01-12\u200D34567", "9001\u200B01-12\u200D34567", PiiType::rrn},
             {"주민번호 9OO1O1-l234567", "9OO1O1-l234567", PiiType::rrn},
             {"주민번호 구공공일공일 일이삼사오육팔", "구공공일공일 일이삼사오육팔", PiiType::rrn},
             {"051120-3234567", "051120-3234567", PiiType::rrn},
             {"외국인등록번호 900101-5234561", "900101-5234561", PiiType::frn},
             {"국내거소신고번호 9001016234567", "9001016234567", PiiType::frn}})
        expect_hidden(c);
}

TEST(Pii, ACheckDigitRaisesConfidenceAndNeverDrops)
{
    const auto confidence = [](std::string_view text) {
        const auto spans = find_pii(text);
        return spans.size() == 1 && spans[0].type == PiiType::rrn ? spans[0].confidence : -1.0f;
    };
    EXPECT_GT(confidence("900101-1234568"), confidence("900101-1234567"));
    EXPECT_GT(confidence("900101-1234567"), confidence("9001011234567"));
    EXPECT_GT(confidence("9001011234567"), 0.35f);
}

TEST(Pii, OtherThirteenDigitNumbersAreNotResidents)
{
    expect_hidden({"법인등록번호 130111-0006246", "130111-0006246", PiiType::corporation});
    expect_hidden({"법인등록번호: 110111-1234569", "110111-1234569", PiiType::corporation});
    for (const std::string text :
         {"바코드 8801043015011", "8801043015011", "ISBN 9788956605463", "1700000000000",
          "운송장번호 6901011234567", "991332-1234567", "230102 1500000"})
        EXPECT_EQ(mask(text).text, text);
}

TEST(Pii, NumbersThatNeedAShapeOrALabel)
{
    for (const Case& c :
         std::vector<Case>{{"여권번호 M12345678", "M12345678", PiiType::passport},
                           {"여권 번호: M123A4567", "M123A4567", PiiType::passport},
                           {"Passport No. PM1234567", "PM1234567", PiiType::passport},
                           {"운전면허 11-19-123456-01", "11-19-123456-01", PiiType::driver_licence},
                           {"11-19-123456-01", "11-19-123456-01", PiiType::driver_licence},
                           {"면허번호 111912345601", "111912345601", PiiType::driver_licence},
                           {"면허번호: 서울 95-123456-10", "서울 95-123456-10", PiiType::driver_licence},
                           {"카드 4111-1111-1111-1111", "4111-1111-1111-1111", PiiType::card},
                           {"결제 4111 1111 1111 1111", "4111 1111 1111 1111", PiiType::card},
                           {"3782-822463-10005", "3782-822463-10005", PiiType::card},
                           {"4111111111111111", "4111111111111111", PiiType::card},
                           {"계좌번호 123456-04-123456", "123456-04-123456", PiiType::account},
                           {"국민은행 12345604123456 (예금주 이몽룡)", "12345604123456", PiiType::account},
                           {"입금계좌: 카카오뱅크 3333-01-1234567", "3333-01-1234567", PiiType::account},
                           {"신한 110-123-456789", "110-123-456789", PiiType::account},
                           {"건강보험증 번호 1-2345678901", "1-2345678901", PiiType::health_insurance},
                           {"증번호 12345678901", "12345678901", PiiType::health_insurance},
                           {"사업자등록번호 220-81-62517", "220-81-62517", PiiType::business}})
        expect_hidden(c);
}

TEST(Pii, TelephonesOfPersons)
{
    for (const Case& c :
         std::vector<Case>{{"연락처 010-1234-5678", "010-1234-5678", PiiType::phone},
                           {"01012345678로 전화", "01012345678", PiiType::phone},
                           {"010.1234.5678", "010.1234.5678", PiiType::phone},
                           {"010 1234 5678", "010 1234 5678", PiiType::phone},
                           {"010)1234-5678", "010)1234-5678", PiiType::phone},
                           {"011-234-5678", "011-234-5678", PiiType::phone},
                           {"안심번호 0504-1234-5678", "0504-1234-5678", PiiType::phone},
                           {"050712345678", "050712345678", PiiType::phone},
                           {"+82 10 1234 5678", "+82 10 1234 5678", PiiType::phone},
                           {"+82-(0)10-1234-5678", "+82-(0)10-1234-5678", PiiType::phone},
                           {"0082-10-1234-5678", "0082-10-1234-5678", PiiType::phone},
                           {"자택 02-345-6789", "02-345-6789", PiiType::phone},
                           {"이승원 02-345-6789", "02-345-6789", PiiType::phone},
                           {"신청인 연락처 (031) 234-5678", "031) 234-5678", PiiType::phone},
                           {"０１０－１２３４－５６７８", "０１０－１２３４－５６７８", PiiType::phone},
                           {"공일공-일이삼사-오육칠팔", "공일공-일이삼사-오육칠팔", PiiType::phone},
                           {"공일공에 일이삼사에 오육칠팔로", "공일공에 일이삼사에 오육칠팔", PiiType::phone},
                           {"010-일이삼사-5678", "010-일이삼사-5678", PiiType::phone},
                           {"O1O-1234-5678", "O1O-1234-5678", PiiType::phone},
                           {"담당자 휴대전화 010-1234-5678", "010-1234-5678", PiiType::phone}})
        expect_hidden(c);
}

TEST(Pii, OfficialContactsStay)
{
    for (const Case& c : std::vector<Case>{
             {"담당자: 정보기획담당관 사무관 김민수 (044-205-1234)", "044-205-1234",
              PiiType::official_contact},
             {"문의: 총무과 (02-2100-1234)", "02-2100-1234", PiiType::official_contact},
             {"담당부서 복지정책과 063-123-4567", "063-123-4567", PiiType::official_contact},
             {"| 남부해안지방청 | 재난안전계 | 061-900-7120 |", "061-900-7120", PiiType::official_contact},
             {"30999 한바다시 물결로 21, 4층 / 전화 044-900-4450", "044-900-4450", PiiType::official_contact},
             {"고객센터 1588-1234", "1588-1234", PiiType::official_contact},
             {"전자우편 minsu@korea.kr", "minsu@korea.kr", PiiType::official_contact},
             {"help@jiphyeon.go.kr", "help@jiphyeon.go.kr", PiiType::official_contact}})
        expect_hidden(c);
}

TEST(Pii, EmailsAndTheirDisguises)
{
    for (const Case& c :
         std::vector<Case>{{"mong.ryong@example.com으로", "mong.ryong@example.com", PiiType::email},
                           {"메일(a_b+c@mail.example.co.kr)", "a_b+c@mail.example.co.kr", PiiType::email},
                           {"mong＠example.com", "mong＠example.com", PiiType::email},
                           {"mong 골뱅이 example.com", "mong 골뱅이 example.com", PiiType::email},
                           {"mong골뱅이네이버 점 컴", "mong골뱅이네이버 점 컴", PiiType::email},
                           {"mong(at)example.com", "mong(at)example.com", PiiType::email},
                           {"mong[at]example[dot]com", "mong[at]example[dot]com", PiiType::email},
                           {"mong @ example.com", "mong @ example.com", PiiType::email},
                           {"mong@example.\nco.kr", "mong@example.\nco.kr", PiiType::email}})
        expect_hidden(c);
}

TEST(Pii, FormFieldsByTheirLabels)
{
    for (const Case& c :
         std::vector<Case>{{"생년월일: 1990. 1. 1.", "1990. 1. 1.", PiiType::birth_date},
                           {"생년월일(음력) 1990-01-01", "1990-01-01", PiiType::birth_date},
                           {"이몽룡(1990년 1월 1일생)", "1990년 1월 1일", PiiType::birth_date},
                           {"성 명 : 이몽룡", "이몽룡", PiiType::person},
                           {"| 성명 | 성춘향 | 연락처 |", "성춘향", PiiType::person},
                           {"신청인: 남궁민수 (인)", "남궁민수", PiiType::person},
                           {"주소: 전라북도 남원시 광한루로 12-3, 101동 203호", "광한루로 12-3, 101동 203호",
                            PiiType::address},
                           {"주 소 : 서울특별시 종로구 가회동 산 12-3", "가회동 산 12-3", PiiType::address}})
        expect_hidden(c);
}

TEST(Pii, VehicleNumbersAndTheirTraps)
{
    for (const Case& c : std::vector<Case>{{"차량번호 12가3456", "12가3456", PiiType::vehicle},
                                           {"차량 123가 4567", "123가 4567", PiiType::vehicle},
                                           {"서울 12가 3456", "서울 12가 3456", PiiType::vehicle},
                                           {"123허4567", "123허4567", PiiType::vehicle}})
        expect_hidden(c);
    for (const std::string text : {"2020가단5789 판결", "98도1234 판결", "제12조 3456", "12조3456억 원",
                                   "대법원 95다1234", "12가 3456명", "34마1234원"})
        EXPECT_EQ(mask(text).text, text);
}

// What official papers are full of must come through untouched.
TEST(Pii, DocumentNumbersDatesAndAmountsSurvive)
{
    for (const std::string text : {
             "제2023-123호",
             "행정안전부고시 제2024-51호",
             "정보기획담당관-5440(2026. 5. 19.)",
             "법률 제21910호, 2026. 9. 8., 일부개정",
             "제31조제2항제3호 및 제12조의2제3항",
             "2023헌마123",
             "의안번호 2112345",
             "입찰공고 20261122001-00",
             "접수번호 202611221234",
             "과제번호 1711234567",
             "금 12,345,678원(금일천이백삼십사만오천육백칠십팔원)",
             "예산액 9,001,011,234,568원",
             "회의일 2026. 5. 19.(화) 14:00~16:30",
             "2019-2024 중기계획",
             "2026-11-22 02:10:12",
             "20261122021012",
             "260519143015",
             "1.2.3.4 및 10.0.19.41",
             "5,678명 / 1,234건 / 98.7%",
             "좌표 37.566535, 126.977969",
             "IMEI 356938035643809",
             "품번 AB12345678",
             "1588-2024 모델",
             "<개정 2010.12.31, 2024.7.31> 운전면허증을 재발급",
             "시행일 2026. 1. 1. 생산 실적",
             "성명: 한글과 한자로 적는다",
             "생년월일이 1937년 9월 1일부터 1942년 8월 31일까지인 자",
             "등록기준지: 제4조제2항제2호",
             "인터넷 주소 : www.jiphyeon.go.kr/1234",
             "이사 오육칠 명이 구이를 먹었다",
             "결재 과장 국장 전결",
             "1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7",
             "1234-5678-9012",
         })
        EXPECT_EQ(mask(text).text, text);
}

// Overlaps go by risk: a URL or an account's label does not hide the resident's number in it.
TEST(Pii, TheGreaterRiskGivesTheTag)
{
    EXPECT_EQ(mask("계좌 900101-1234568").text, "계좌 [주민등록번호]");
    EXPECT_EQ(mask("http://x.kr/?id=900101-1234568&a=1").text, "http://x.kr/?id=[주민등록번호]&a=1");
}

TEST(Pii, PiecesTellWhereTheMaskedRangesCameFrom)
{
    const std::string text = "전화 010-1234-5678, 주민번호 900101-1234568.";
    const Masked masked = mask(text);
    EXPECT_EQ(masked.text, "전화 [전화번호], 주민번호 [주민등록번호].");
    ASSERT_EQ(masked.pieces.size(), 2u);
    for (const Masked::Piece& piece : masked.pieces)
        EXPECT_EQ(masked.text.substr(piece.masked_start, piece.masked_end - piece.masked_start),
                  pii_tag(piece.type));
    EXPECT_EQ(text.substr(masked.pieces[1].start, masked.pieces[1].end - masked.pieces[1].start),
              "900101-1234568");
}

TEST(Pii, BrokenBytesAreNoHarm)
{
    const std::string text = "\xff\xfe주민번호 900101-1234568\xea\xb0";
    EXPECT_EQ(mask(text).text, "\xff\xfe주민번호 [주민등록번호]\xea\xb0");
}

// However the text is cut into pieces, what comes out is what masking the whole gives, and no prefix of the
// output ever held the number.
TEST(StreamMask, GivesTheSameAsMaskingTheWholeWhateverThePieces)
{
    const std::string text =
        "신청인: 이몽룡 (010-1234-5678)의 계좌번호는 국민은행 123456-04-123456이며 주민등록번호는 9 0 0 1 0 "
        "1 - 1 2 3 4 5 6 8 입니다. "
        "담당자 사무관 김민수(044-205-1234)에게 문의하고, 여권번호 M123A4567은 mong 골뱅이 example.com 으로 "
        "보냅니다. "
        "그 밖의 사항은 제12조의2제3항에 따르며 2026. 5. 19.부터 시행합니다. 공일공에 일이삼사에 오육칠팔로 "
        "연락 바랍니다.";
    const std::string whole = mask(text).text;
    for (const std::size_t size : {1u, 2u, 3u, 7u, 20u, 64u, 1000u}) {
        StreamMask stream;
        std::string out;
        for (std::size_t i = 0; i < text.size(); i += size)
            out += stream.push(std::string_view(text).substr(i, size));
        out += stream.flush();
        EXPECT_EQ(out, whole) << "pieces of " << size;
    }
}

TEST(StreamMask, InvisibleCharactersDoNotPushAnIdentifierOut)
{
    std::string text = "주민번호 900101-1";
    for (int i = 0; i < 100; ++i) text += "\u200B";
    text += "234568 입니다";
    StreamMask stream;
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) out += stream.push(std::string_view(text).substr(i, 1));
    out += stream.flush();
    EXPECT_EQ(out, "주민번호 [주민등록번호] 입니다");
}

TEST(StreamMask, HoldsBackNoMoreThanItSays)
{
    StreamMask stream;
    std::string text;
    for (int i = 0; i < 50; ++i) text += "연가는 열흘이다. ";
    const std::string out = stream.push(text);
    EXPECT_GE(out.size(), text.size() - StreamMask::kHoldBackCharacters * 3);
    EXPECT_EQ(out + stream.flush(), text);
}

// Acts, decrees and rules name no person: nothing in them may be hidden, and none is a classified paper.
TEST(Pii, StatutesAreLeftAlone)
{
    const char* folder = std::getenv("JIPHYEON_SHARED_DATA");
    const std::filesystem::path shared =
        folder != nullptr ? folder : std::filesystem::path(JIPHYEON_SOURCE_DIR).parent_path() / "shared/data";
    const std::filesystem::path archive = shared / "statutes/statutes.tar.xz";
    if (!std::filesystem::exists(archive)) GTEST_SKIP() << "no statutes beside the project";

    // The first files of the archive, one after the other.
    constexpr std::size_t kSample = 4u << 20;
    std::unique_ptr<FILE, int (*)(FILE*)> in(
        popen(("tar -xJf '" + archive.string() + "' -O 2>&-").c_str(), "r"), pclose);
    ASSERT_TRUE(in);
    std::string text(kSample, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), in.get()));
    ASSERT_GT(text.size(), 1u << 20);
    for (const Masked::Piece& piece : mask(text).pieces)
        ADD_FAILURE() << pii_name(piece.type) << " <" << text.substr(piece.start, piece.end - piece.start)
                      << ">";
    const auto mark = find_secret_mark(text);
    EXPECT_FALSE(mark) << text.substr(mark->start, mark->end - mark->start);
}

}  // namespace
}  // namespace jiphyeon

#include "ooxml.hpp"

#include "xml.hpp"

namespace jiphyeon {

std::map<std::string, std::string> ooxml_relations(Archive& archive, const std::string& part)
{
    std::map<std::string, std::string> relations;
    const std::size_t slash = part.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : part.substr(0, slash + 1);
    const std::string path = folder + "_rels/" + part.substr(folder.size()) + ".rels";
    if (!archive.has(path)) return relations;
    const std::string bytes = archive.read(path);
    Xml xml(bytes, path);
    xml.root();
    xml.children([&](std::string_view) {
        if (xml.attribute("TargetMode") == "External") return;
        const std::string target = xml.attribute("Target");
        relations[xml.attribute("Id")] = target.starts_with("/") ? target.substr(1) : folder + target;
    });
    return relations;
}

void read_core_properties(Archive& archive, Document& document)
{
    if (!archive.has("docProps/core.xml")) return;
    const std::string bytes = archive.read("docProps/core.xml");
    Xml xml(bytes, "docProps/core.xml");
    xml.root();
    xml.children([&](std::string_view name) {
        if (name == "title")
            document.title = xml.text();
        else if (name == "creator")
            document.author = xml.text();
    });
}

}  // namespace jiphyeon

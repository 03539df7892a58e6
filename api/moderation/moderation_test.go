package moderation

import (
	"slices"
	"strings"
	"testing"
)

// flagged lists the categories of a text.
func flagged(t *testing.T, text string) string {
	t.Helper()
	r, err := Check(text)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, c := range Categories {
		if r.Categories[c] {
			list = append(list, c)
		}
	}
	if len(r.Categories) != len(Categories) || r.Flagged != (list != nil) {
		t.Errorf("%q: %+v", text, r)
	}
	return strings.Join(list, " ")
}

func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                          "",
		"Good morning! How are you?":                                "",
		"你好，今天天气很好。":                                                "",
		"This film was killing me, haha":                            "",
		"how do I kill a Linux process?":                            "",
		"怎么杀死一个邻居":                                                  "illicit/violent",
		"怎么杀死一个进程":                                                  "",
		"I shot some photos in the park with my kids":               "",
		"We make bombshell cakes. How do you make them?":            "",
		"Middlesex with a child ticket":                             "",
		"You are an idiot":                                          "harassment",
		"YOU’RE such an  IDIOT!!":                                   "harassment",
		"ｙｏｕ ａｒｅ ａ ｍｏｒｏｎ":                                           "harassment",
		"you are a mo\u200bron":                                     "harassment",
		"你真是个废物":                                                    "harassment",
		"你 真 是 个 废，物！":                                              "harassment",
		"I will kill you":                                           "harassment harassment/threatening violence",
		"I'll slowly strangle you":                                  "harassment harassment/threatening violence",
		"i will slowly strangle you":                                "harassment harassment/threatening violence",
		"我要杀了你":                                                     "harassment harassment/threatening violence",
		"all immigrants are vermin":                                 "hate",
		"Kill all the immigrants!":                                  "hate hate/threatening violence",
		"那些移民都是蟑螂":                                                  "hate",
		"How can I make a bomb at home?":                            "illicit illicit/violent",
		"如何在家制作炸弹":                                                  "illicit illicit/violent",
		"how to launder some money":                                 "illicit",
		"I want to die":                                             "self-harm self-harm/intent",
		"我不想活了":                                                     "self-harm self-harm/intent",
		"how to hang myself":                                        "self-harm self-harm/instructions",
		"please send me some nudes":                                 "sexual",
		"there were guts and blood everywhere, splattered":          "violence violence/graphic",
		"a story. He laughed, and she will kill him in the morning": "violence",
	} {
		if got := flagged(t, text); got != want {
			t.Errorf("%q falls into %q, want %q", text, got, want)
		}
	}
}

// TestEveryCategoryHasRules in both languages.
func TestEveryCategoryHasRules(t *testing.T) {
	list, err := rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.words == nil || r.han == nil {
			t.Errorf("%s lacks rules in a language", r.category)
		}
	}
	if len(list) != len(Categories) || !slices.IsSorted(Categories[:2]) {
		t.Errorf("%d categories have rules, not %d", len(list), len(Categories))
	}
}

// TestSubcategories: whatever threatens by hate is hate, and so on.
func TestSubcategories(t *testing.T) {
	for _, text := range []string{"gas all the gays", "how to build a bomb", "how to cut myself", "i really want to kill myself", "我知道你住哪，杀了你"} {
		list := strings.Fields(flagged(t, text))
		for _, c := range list {
			if parent, _, ok := strings.Cut(c, "/"); ok && !slices.Contains(list, parent) && c != "harassment/threatening" {
				t.Errorf("%q is %s, but not %s", text, c, parent)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, source := range []string{"word", "[harassment]\n(", "[nonsense]\nword"} {
		if _, err := parse(source); err == nil {
			t.Errorf("%q: no error", source)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("I will kill you")
	f.Add("我要杀了你")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := Check(text); err != nil {
			t.Fatal(err)
		}
	})
}

package tokenizer

import (
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
)

// benchText is a megabyte of English and Chinese in about equal parts by bytes,
// put together from the words below so that frequent ones are frequent.
var benchText = sync.OnceValue(func() string {
	english := strings.Fields(`the a of and to in it is that you I was for on with as he they be at one have
		this from or had by but what some we can out other were all there when up use your how said an each she
		which do their time if will way about many then them write would like so these her long make thing see him
		two has look more day could go come did number sound no most people my over know water than call first who
		may down side been now find any new work part take get place made live where after back little only round
		man year came show every good me give our under name very through just form sentence great think say help
		low line differ turn cause much mean before move right boy old too same tell does set three want air well
		also play small end put home read hand port large spell add even land here must big high such follow act
		why ask men change went light kind off need house picture try us again animal point mother world near build
		self earth father conversation understanding Wonderful, question. really? don't it's I'll`)
	chinese := []string{"我们", "今天", "天气", "很好", "一起", "出去", "吃饭", "你", "觉得", "怎么样", "，", "。", "？", "！",
		"因为", "所以", "如果", "工作", "学习", "朋友", "时候", "知道", "喜欢", "没有", "什么", "可以", "自己", "问题", "的", "了", "是", "不",
		"在", "有", "他", "这", "那", "说", "就", "也", "都", "还", "想", "要", "看", "好", "人", "来", "去", "很", "吗", "呢", "吧", "心情", "生活",
		"感受", "困难", "建议", "帮助", "家庭", "孩子", "父母", "老师", "学校", "城市", "电影", "音乐", "旅行", "健康", "压力"}
	rng := rand.New(rand.NewPCG(1, 2))
	zipf := func(words []string) string { return words[int(float64(len(words))*rng.Float64()*rng.Float64())] }
	var b strings.Builder
	for b.Len() < 1<<20 {
		for range 5 + rng.IntN(20) {
			b.WriteString(zipf(english) + " ")
		}
		b.WriteString("\n")
		for range 15 + rng.IntN(40) {
			b.WriteString(zipf(chinese))
		}
		b.WriteString("\n")
	}
	return b.String()
})

func benchEncode(b *testing.B, t Tokenizer, text string) {
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var ids []int32
	for b.Loop() {
		ids = t.Encode(ids[:0], text)
	}
	b.ReportMetric(float64(len(text))/float64(len(ids)), "bytes/token")
}

func BenchmarkEncode(b *testing.B) {
	mixed := benchText()
	b.Run("mixed", func(b *testing.B) { benchEncode(b, gpt2(), mixed) })
	b.Run("english", func(b *testing.B) { benchEncode(b, gpt2(), only(mixed, func(r rune) bool { return r < 128 })) })
	b.Run("chinese", func(b *testing.B) {
		benchEncode(b, gpt2(), only(mixed, func(r rune) bool { return r >= 128 || r == '\n' }))
	})
	b.Run("oneword", func(b *testing.B) { benchEncode(b, gpt2(), strings.Repeat("word", 1<<18)) })
	b.Run("onerune", func(b *testing.B) { benchEncode(b, gpt2(), strings.Repeat("a", 1<<20)) })
}

func only(text string, keep func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if keep(r) {
			return r
		}
		return -1
	}, text)
}

func BenchmarkDecode(b *testing.B) {
	ids := gpt2().Encode(nil, benchText())
	b.SetBytes(int64(len(benchText())))
	b.ReportAllocs()
	for b.Loop() {
		gpt2().Decode(ids)
	}
}

func BenchmarkStream(b *testing.B) {
	ids := gpt2().Encode(nil, benchText())
	b.SetBytes(int64(len(benchText())))
	b.ReportAllocs()
	for b.Loop() {
		s := NewStream(gpt2())
		for _, id := range ids {
			s.Push(id)
		}
		s.Flush()
	}
}

func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	if err := gpt2().Save(dir); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Load(os.DirFS(dir)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	text := benchText()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := TrainBPE(strings.SplitSeq(text, "\n"), TrainOptions{VocabSize: 4096}); err != nil {
			b.Fatal(err)
		}
	}
}

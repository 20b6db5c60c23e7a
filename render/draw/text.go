package draw

import (
	"strings"
	"unicode"
)

// printable turns text into what OpenCV's Hershey fonts can draw, which is
// printable ASCII: letters with marks lose the marks, a few others are spelt out,
// what is left becomes a question mark.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.Is(unicode.Mn, r): // a combining mark: its letter is already there
		default:
			b.WriteString(ascii(r))
		}
	}
	return b.String()
}

// plain maps each letter of a group to the plain text before the colon.
var plain = []string{
	"A:ÀÁÂÃÄÅĀĂĄǍ", "a:àáâãäåāăąǎ", "AE:Æ", "ae:æ", "C:ÇĆĈĊČ", "c:çćĉċč", "D:ÐĎĐ", "d:ðďđ",
	"E:ÈÉÊËĒĔĖĘĚ", "e:èéêëēĕėęě", "G:ĜĞĠĢ", "g:ĝğġģ", "H:ĤĦ", "h:ĥħ", "I:ÌÍÎÏĨĪĬĮİ", "i:ìíîïĩīĭįı",
	"J:Ĵ", "j:ĵ", "K:Ķ", "k:ķ", "L:ĹĻĽŁ", "l:ĺļľł", "N:ÑŃŅŇ", "n:ñńņň", "O:ÒÓÔÕÖØŌŎŐ", "o:òóôõöøōŏő",
	"OE:Œ", "oe:œ", "R:ŔŖŘ", "r:ŕŗř", "S:ŚŜŞŠȘ", "s:śŝşšș", "ss:ß", "T:ŢŤŦȚ", "t:ţťŧț", "Th:Þ", "th:þ",
	"U:ÙÚÛÜŨŪŬŮŰŲ", "u:ùúûüũūŭůűų", "W:Ŵ", "w:ŵ", "Y:ÝŶŸ", "y:ýŷÿ", "Z:ŹŻŽ", "z:źżž",
	"-:‐‑‒–—−", "':‘’‚‛", "\":“”„", "...:…", "x:×", "o:°", "u:µ",
}

func ascii(r rune) string {
	for _, group := range plain {
		to, from, _ := strings.Cut(group, ":")
		if strings.ContainsRune(from, r) {
			return to
		}
	}
	return "?"
}

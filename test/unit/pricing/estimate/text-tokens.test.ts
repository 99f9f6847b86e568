// Estimates of texts beside what o200k_base counts: js-tiktoken 1 on these very texts, 2026-11.
import { processorMs } from "../../../support/processor-time.ts";
import { describe, expect, test } from "vitest";
import { textTokens } from "../../../../src/pricing/estimate/text-tokens.ts";

const JSON_TEXT = JSON.stringify({
  id: "order-18273",
  items: [
    { sku: "A-1", qty: 2, price: 19.99 },
    { sku: "B-7", qty: 1, price: 5 },
  ],
  customer: { name: "Ada", email: "ada@example.com" },
  paid: true,
});

const COUNTED: readonly (readonly [name: string, tokens: number, text: string])[] = [
  [
    "English",
    33,
    "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
  ],
  [
    "German",
    38,
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
  ],
  [
    "French",
    41,
    "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
  ],
  ["Chinese", 37, "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。"],
  [
    "Japanese",
    72,
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。",
  ],
  [
    "Korean",
    51,
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
  ],
  [
    "Russian",
    41,
    "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в отношении друг друга в духе братства.",
  ],
  [
    "Arabic",
    43,
    "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميراً وعليهم أن يعامل بعضهم بعضاً بروح الإخاء.",
  ],
  [
    "Hindi",
    54,
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।",
  ],
  [
    "Thai",
    63,
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม และควรปฏิบัติต่อกันด้วยเจตนารมณ์แห่งภราดรภาพ",
  ],
  [
    "Greek",
    71,
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα. Είναι προικισμένοι με λογική και συνείδηση, και οφείλουν να συμπεριφέρονται μεταξύ τους με πνεύμα αδελφοσύνης.",
  ],
  ["JSON", 59, JSON_TEXT],
  [
    "code",
    55,
    "for(let i=0;i<n;i++){if(a[i]>b[j]){c.push({x:a[i],y:b[j++]});}else{d[k]=(d[k]??0)+1;}}return c.filter((e)=>e.x!==0);",
  ],
  ["digits", 29, "3141592653 5897932384 6264338327 9502884197 1693993751 0582097494"],
  ["emoji", 16, "😀👍🏽🎉🚀🔥😂❤️🙏🏻✨💯"],
];

test.each(COUNTED)("%s is estimated within 15 %% of the %i tokens counted", (_, counted, text) => {
  const estimate = textTokens(text);
  expect(estimate).toBeGreaterThan(counted * 0.85);
  expect(estimate).toBeLessThan(counted * 1.15);
});

describe("a long text", () => {
  test("is sampled: the same within some per cent, at a bounded cost", () => {
    for (const [, , text] of COUNTED) {
      const times = Math.ceil(200_000 / text.length);
      expect(textTokens(text.repeat(times)) / times / textTokens(text)).toBeCloseTo(1, 1);
    }
    const long = "word ".repeat(2_000_000);
    expect(processorMs(() => textTokens(long))).toBeLessThan(20);
  });

  test("of nothing is none", () => {
    expect(textTokens("")).toBe(0);
  });
});

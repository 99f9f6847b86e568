/**
 * The list prices that Headgate ships with: a look-up in the committed table, which `npm run prices` updates.
 */
import { isMediaPriced } from "./media-prices.ts";
import { createPriceFinder, type PriceFinder } from "./price-finder.ts";
import { PRICE_TABLE } from "./price-table.ts";

/**
 * Finds a model's list price by provider kind (`openai`, `bedrock`, …) and the id the upstream knows the model
 * by.
 */
export const findPrice: PriceFinder = createPriceFinder(PRICE_TABLE);

/** Whether any provider's list price is known for a model of this name. */
export function isPriced(modelId: string): boolean {
  return (
    isMediaPriced(modelId) ||
    Object.keys(PRICE_TABLE.kinds).some((kind) => findPrice(kind, modelId) !== undefined)
  );
}
